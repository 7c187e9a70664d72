"""The jobs of a launch as one Ray Tune experiment: a trial each, results as they come."""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import PlacementGroupFactory, Trainable
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from hydra_plugins.hrfs_ray_tune_launcher._privates import Controller, read_error
from hydra_plugins.hrfs_ray_tune_launcher._worker import run

JOB = "job"
OUTCOME = "outcome"


class TryAgain(Exception):  # noqa: N818 - asks Tune to start the trial anew
    """Raised in a trial whose task has failed and is to be tried again."""


class HydraJob(Trainable):
    """A trial is one job; its process may serve many, one after the other.

    The job runs in the main thread, where it may set signal handlers. The one step of a trial
    returns the outcome; only if a failed task is to be tried again is there a second, which
    raises, since Tune starts a trial anew only after an error.
    """

    def setup(
        self,
        config: dict[str, Any],
        shared: bytes,
        parcels: list[bytes],
        path: list[str],
        again: bool,
    ) -> None:
        """Keep what all jobs share; what belongs to one is looked up in :meth:`step`."""
        # Where the driver found its modules; Ray itself tells only where its script lies.
        sys.path += [folder for folder in path if folder not in sys.path]
        self._shared, self._parcels, self._again = shared, parcels, again
        self._failed = False

    def step(self) -> dict[str, Any]:
        """Run the job and report how it ended."""
        if self._failed:
            raise TryAgain
        ended = run(self._shared, self._parcels[self.config[JOB]])
        self._failed = self._again and not ended.completed
        return {"done": not self._failed, OUTCOME: ended.outcome}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Serve another job. Nothing may fail here: Tune does not notice if it does."""
        self._failed = False
        return True


class Collector(tune.Callback):
    """Hands over each job's outcome as it comes, by the job's position in the launch."""

    def __init__(
        self, ended: Callable[[int, bytes], None], died: Callable[[int, str], None]
    ) -> None:
        self._ended, self._died = ended, died

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        """A job has ended; Tune need not keep, nor write into its files, what came of it."""
        self._ended(trial.config[JOB], result.pop(OUTCOME))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        """A trial is given up: its process died, or its task failed once too often."""
        error = read_error(trial)
        if "TryAgain" not in error:
            self._died(trial.config[JOB], error)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles callbacks for a restore, of which there is none here."""
        return {}


class InOrder(FIFOScheduler):
    """Tune's own order. Holds on to the controller, and clears up after dead processes."""

    def __init__(self) -> None:
        super().__init__()
        self.controller: Controller | None = None

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """The first chance to meet the controller."""
        self.controller = Controller(tune_controller)
        super().on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A process that died between two jobs must not be waited for."""
        Controller(tune_controller).forget_reset(trial)
        super().on_trial_error(tune_controller, trial)

    def __getstate__(self) -> dict[str, Any]:
        """Without the controller, which cannot be pickled."""
        return {**self.__dict__, "controller": None}


def run_trials(
    shared: bytes,
    parcels: Sequence[bytes],
    bundles: Sequence[Mapping[str, float]],
    collector: Collector,
    *,
    max_concurrent: int | None,
    max_failures: int,
    retry_exceptions: bool,
    reuse_processes: bool,
) -> None:
    """Run every parcel as a trial that holds its bundle; returns when all have ended.

    However this ends, no process of it goes on.
    """
    # Two sweeps at once in one cluster must not be taken for each other: Tune goes by names.
    name = f"hydra_{uuid.uuid4().hex[:12]}"
    factories = [PlacementGroupFactory([dict(bundle)]) for bundle in bundles]
    trainable = tune.with_parameters(
        type(name, (HydraJob,), {}),
        shared=shared,
        parcels=list(parcels),
        path=[str(Path(folder).absolute()) for folder in sys.path],
        again=retry_exceptions and max_failures > 0,
    )
    scheduler = InOrder()
    with tempfile.TemporaryDirectory(prefix="hydra_ray_tune_") as storage:
        tuner = tune.Tuner(
            tune.with_resources(trainable, lambda config: factories[config[JOB]]),
            param_space={JOB: tune.grid_search(list(range(len(parcels))))},
            tune_config=tune.TuneConfig(
                scheduler=scheduler,
                max_concurrent_trials=max_concurrent,
                reuse_actors=reuse_processes,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=storage,
                callbacks=[collector],
                failure_config=tune.FailureConfig(max_failures=max_failures),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except BaseException:
            if scheduler.controller is not None:
                scheduler.controller.kill_processes()
            raise
