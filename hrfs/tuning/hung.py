"""Slices that hang: what the cluster shows of them, for the watchdog to judge."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ray.tune.experiment import Trial

from hrfs.tuning.context import Context
from hrfs.tuning.dispatch import Dispatched
from hrfs.tuning.quarantine import Quarantine
from hrfs.tuning.watchdog import Limits, Overdue, Sight, Watchdog, most_expected_s

log = logging.getLogger("hrfs")


@dataclass(slots=True)
class _Hangs:
    """Slices of one trial that hung."""

    count: int
    finished: int
    """Slices of all trials that had been finished by the last of them."""


class HungSlices:
    """Looks at the slices under way, and remembers whose slices hung."""

    def __init__(self, context: Context) -> None:
        cluster = context.cluster
        self._context = context
        self._watchdog = Watchdog(
            Limits(cluster.hung_after, cluster.hung_least_s, cluster.hung_unknown_s)
        )
        self._predicted_s: dict[int, float | None] = {}
        self._of_trial: dict[int, _Hangs] = {}
        self._finished = 0
        self.quarantine = Quarantine(cluster.hung_least_s)
        """How often workers hung, and for how long they stay out."""

    def look(self) -> list[Overdue]:
        """The slices that are to be abandoned now."""
        context = self._context
        if not self._watchdog.is_due(context.now_s):
            return []
        under_way = {
            number: dispatched
            for number, dispatched in context.dispatched.items()
            if dispatched.trial.status in (Trial.PENDING, Trial.RUNNING)
            and number in context.core.state.running
        }
        self._predicted_s = {
            number: self._predicted_s[number]
            if number in self._predicted_s
            else most_expected_s(context.core, context.core.state.running[number])
            for number in under_way
        }
        return self._watchdog.look(context.now_s, [self._sight(d) for d in under_way.values()])

    def put_out(self, worker: str) -> float:
        """The worker is taken out for a slice that hung; returns until when, by the run's clock."""
        stay_s = self.quarantine.enter(worker)
        log.warning("worker %s hangs: it stays out for %g s", worker, stay_s)
        return self._context.now_s + stay_s

    def note_hung(self, trial: int) -> int:
        """A slice of the trial was abandoned.

        Returns:
            How many there were since it last finished one. Where no slice of any trial was
            finished in between, as when the storage hangs, they count as one.
        """
        known = self._of_trial.get(trial)
        if known is None:
            known = self._of_trial[trial] = _Hangs(1, self._finished)
        elif known.finished != self._finished:
            known.count, known.finished = known.count + 1, self._finished
        return known.count

    def note_done(self, number: int, trial: int, worker: str) -> None:
        """The worker has finished the slice of the trial."""
        self._watchdog.note_done(number, worker)
        self._finished += 1
        self._of_trial.pop(trial, None)
        self.quarantine.finished_slice(worker)

    def _sight(self, dispatched: Dispatched) -> Sight:
        worker, number = dispatched.bundle.info.name, dispatched.start.slice
        return Sight(
            slice=number,
            worker=worker,
            at_work=self._context.controller.is_at_work(dispatched.trial),
            predicted_s=self._predicted_s[number],
            hung_before=self.quarantine.faults(worker),
        )
