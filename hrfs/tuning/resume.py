"""Telling the scheduler that its experiment is being restored.

Tune restores the scheduler as it was when the experiment began and tells it nothing. It does
tell callbacks that have a state, before it adds the restored trials.
"""

from __future__ import annotations

from typing import Any

from ray.tune import Callback
from ray.tune.progress_reporter import TrialProgressCallback

from hrfs.tuning.scheduler import HRFSScheduler


class StateCallback(Callback):
    """Has ``scheduler``, which must be the one of the same run, go on where it was."""

    def __init__(self, scheduler: HRFSScheduler) -> None:
        self._scheduler = scheduler

    @property
    def scheduler(self) -> HRFSScheduler:
        """The scheduler of the run; after ``Tuner.restore``, the restored one."""
        return self._scheduler

    def get_state(self) -> dict[str, Any] | None:
        """Called by Tune at every snapshot; the state itself follows from the event log."""
        return {"format": 1}

    def set_state(self, state: dict[str, Any]) -> None:
        """Called by Tune on restore, before it adds the trials."""
        self._scheduler.expect_restore()


class SilentProgress(TrialProgressCallback):
    """In place of Tune's own, which prints a line for each trial that ends without a result.

    So do those that had ended before the run was resumed.
    """

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Nothing: our own observers tell of it."""
