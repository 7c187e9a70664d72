"""What we touch of Ray Tune 2.60's private parts, with a test per name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import worker as ray_worker
from ray.tune.experiment import Trial

CONTROLLER_NAMES = ("_resetting_trials", "_actor_manager")
ACTOR_MANAGER_NAMES = ("_live_actors_to_ray_actors_resources", "cleanup")


class Controller:
    """A TuneController as the launcher uses it. Called from the controller's own thread."""

    def __init__(self, controller: Any) -> None:
        # Schedulers get a wrapper that warns about every attribute it does not list.
        self._tune = getattr(controller, "_tune_controller", controller)

    def forget_reset(self, trial: Trial) -> None:
        """Clear the mark of a ``reset()`` during which the process died.

        Tune never clears it, and would then wait for that reset for ever.
        """
        self._tune._resetting_trials.discard(trial)

    def kill_processes(self) -> None:
        """End all trials' processes and give back what they hold, at once.

        Tune's public way waits for their tasks, and a cluster that we only joined lives on.
        """
        if not ray.is_initialized():
            return
        manager = self._tune._actor_manager
        for actor, _ in list(manager._live_actors_to_ray_actors_resources.values()):
            ray.kill(actor)
        manager.cleanup()


def read_error(trial: Trial) -> str:
    """What the trial's last error says; Tune writes it into the trial's folder on the driver."""
    path = Path(str(trial.error_file))
    last = path.read_text().rpartition("Failure # ")[2]
    return last.partition("\n")[2].strip()


@contextmanager
def raylet_words_to(log: logging.Logger) -> Iterator[None]:
    """Send to ``log`` what Ray's node manager says of each dead worker, at length, on the screen.

    Replaces ``print_to_stdstream``, which ``log_to_driver=False`` does not silence.
    """
    before = ray_worker.print_to_stdstream

    def tell(data: dict[str, Any], **_: Any) -> None:
        log.debug("%s: %s", data["pid"], " ".join(data["lines"]))

    ray_worker.print_to_stdstream = tell
    try:
        yield
    finally:
        ray_worker.print_to_stdstream = before
