"""What a run has taught so far: how fast its workers are, and how much work is left.

The estimates and the sums over workers and trials depend on one another. They are changed
here alone, by what happened, so that they are always of the same moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from hrfs.core.backlog import Backlog
from hrfs.core.estimator import SpeedEstimator
from hrfs.core.events import SliceDone
from hrfs.core.roster import Roster
from hrfs.core.settings import Settings
from hrfs.core.state import RunningSlice, Worker
from hrfs.core.tca import TcaEstimator


class Knowledge:
    """Estimates and sums that policies ask; told of every change by the scheduler."""

    def __init__(self, settings: Settings) -> None:
        self._interval_iterations = settings.interval_iterations
        self._tca = TcaEstimator()
        self.speeds = SpeedEstimator()
        """Seconds of slices to come, by worker and trial."""
        self.roster = Roster()
        """Workers in order of speed, and what they hold."""
        self.backlog = Backlog(settings.stop_iterations)
        """Unfinished trials, and the work that they have left."""

    @property
    def tca(self) -> Mapping[str, int]:
        """The paper's time-cost measure of each measured worker, in slices."""
        return self._tca.measured

    # Trials

    def trial_added(self, trial: int) -> None:
        """A new trial has all its work before it."""
        self.trial_advanced(trial, 0)

    def trial_advanced(self, trial: int, iteration: int) -> None:
        """The trial has done ``iteration`` iterations by now, and is not finished."""
        self.backlog.set(trial, iteration, self.speeds.trial_factor(trial))

    def trial_ended(self, trial: int) -> None:
        """The trial trains no more."""
        self.backlog.drop(trial)

    # Workers

    def worker_joined(self, worker: Worker) -> None:
        """A worker is there, for the first time or again."""
        self.speeds.join(worker.name, worker.kind)
        self._rate(worker.name, worker.kind)

    def worker_left(self, worker: str) -> None:
        """The worker is gone; what was measured of it is kept."""
        self.roster.drop(worker)

    def worker_forgotten(self, worker: Worker) -> None:
        """A worker that has left hung: its speed is whatever it will be measured to be."""
        self.speeds.forget(worker.name)
        self._tca.forget(worker.name)

    def worker_retired(self, worker: str) -> None:
        """The worker gets nothing for now."""
        self.roster.retire(worker)

    def worker_recalled(self, worker: Worker) -> None:
        """A retired worker may be given work again."""
        self.roster.drop(worker.name)
        self._rate(worker.name, worker.kind)

    # Slices

    def slice_began(self, begun: RunningSlice, moved: bool) -> None:
        """A slice is under way; ``moved``: its trial's weights come from another worker."""
        expected = self.speeds.predict(begun.worker, begun.iterations, moved, begun.trial)
        end_s = begun.started_s + expected.seconds if expected is not None else math.inf
        self.roster.begin(begun.number, begun.worker, begun.from_iteration, begun.iterations, end_s)

    def slice_measured(
        self, done: RunningSlice, event: SliceDone, worker: Worker, moved: bool
    ) -> None:
        """Learn how fast ``worker`` is from a slice that it has finished, not yet counted in it.

        Raises:
            ValueError: the slice cannot have taken these seconds; nothing has changed.
        """
        # First what may refuse the event. It admits no duration that TCA would refuse.
        self.speeds.observe(
            done.worker, done.trial, done.iterations, event.duration_s, event.overhead_s, moved
        )
        self._tca.observe(done.worker, event.duration_s)
        if worker.kind and worker.slices == 0:  # now its kind is known
            for name in self.roster.unknown_of(worker.kind):
                self._rate(name, worker.kind)
        self._rate(worker.name, worker.kind)

    def slice_ended(self, number: int) -> None:
        """The slice is no longer under way, whether it was finished or lost."""
        self.roster.end(number)

    def _rate(self, worker: str, kind: str) -> None:
        """Enter the worker into the roster by what is known of its speed, if anything is."""
        estimate = self.speeds.estimate(worker)
        if estimate is None:
            self.roster.expect(worker, kind)
        else:
            self.roster.set_speed(worker, estimate.speed(self._interval_iterations))
