"""The errors of Tune's actors, seen before Tune sees them. Part of :mod:`hrfs.tuning.privates`."""

from __future__ import annotations

from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError, UnserializableException
from ray.tune.execution.tune_controller import TuneController

CONTROLLER_NAMES = ("_actor_manager", "_actor_to_trial")
"""Attributes of TuneController that this module relies on; tests look each of them up."""
MANAGER_NAMES = ("_actor_task_failed", "_actor_start_failed")
"""Methods of ``_actor_manager`` that are told of every error of an actor."""


class ErrorWatch:
    """Keeps the last error of each trial, and hands Tune only what Tune can take.

    Stands before two methods of ``_actor_manager``: the public way is a pickle that Tune writes
    of some errors and not of others. Tune ends the whole experiment at an error that it does not
    expect (Ray's memory monitor ended the process, an exception cannot be unpickled).
    """

    def __init__(self, controller: TuneController) -> None:
        self._trials = controller._actor_to_trial
        self._errors: dict[str, Exception] = {}
        manager: Any = controller._actor_manager
        task_failed, start_failed = (getattr(manager, name) for name in MANAGER_NAMES)

        def on_task(tracked_actor_task: Any, exception: Exception) -> None:
            error = self._keep(tracked_actor_task._tracked_actor, exception)
            task_failed(tracked_actor_task, error)

        def on_start(tracked_actor: Any, exception: Exception) -> None:
            start_failed(tracked_actor, self._keep(tracked_actor, exception))

        manager._actor_task_failed, manager._actor_start_failed = on_task, on_start

    def _keep(self, tracked_actor: Any, exception: Exception) -> Exception:
        error, trial = as_expected(exception), self._trials.get(tracked_actor)
        if trial is not None:  # else an idle process
            self._errors[trial.trial_id] = error
        return error

    def take(self, trial_id: str) -> Exception | None:
        """The last error of the trial, once; None without one."""
        return self._errors.pop(trial_id, None)


def as_expected(error: Exception) -> Exception:
    """``error`` as one of the two kinds that Tune can take, with itself as its ``__cause__``.

    An exception that cannot be unpickled stands for a result alone: its process lives, and Tune
    will end it. All other errors of Ray's own mean that the process is gone.
    """
    if isinstance(error, (RayActorError, RayTaskError)):
        return error
    told: Exception
    if isinstance(error, RayError) and not isinstance(error, UnserializableException):
        told = RayActorError(error_msg=str(error))
    else:
        told = RayTaskError("slice", str(error), error)
    told.__cause__ = error
    return told
