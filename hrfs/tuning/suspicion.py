"""What follows for a worker on which slices end in exceptions."""

from __future__ import annotations

import logging

from hrfs.tuning.blame import Blame, Culprit, Verdict
from hrfs.tuning.context import Context
from hrfs.tuning.quarantine import Quarantine

log = logging.getLogger("hrfs")

CULPRIT_S = 600.0
"""For how long a worker that is to blame stays out at first; twice as long each further time."""


class Suspicion:
    """Keeps workers away while they are suspected, and for long where they are to blame.

    Either costs nothing but the worker: while it is out its trials are tried on others.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._blame = Blame()
        self._suspects = Quarantine(context.cluster.hung_least_s)
        self._culprits = Quarantine(CULPRIT_S)

    def failed(self, trial: int, worker: str) -> Verdict:
        """A slice of the trial has ended in an exception there; to be told before it is out."""
        suspects = self._blame.suspects_of(trial)
        verdict = self._blame.failed(trial, worker, self._present())
        for other in suspects:
            if other != worker:  # the trial fails elsewhere too
                self._context.pool.release(other)
        return verdict

    def put_out(self, worker: str, verdict: Verdict) -> float:
        """The worker is taken out; returns until when, by the run's clock (0: till it answers)."""
        if verdict is Verdict.NOTHING:
            return 0.0
        if verdict is Verdict.TO_BLAME:
            stay_s = self._culprits.enter(worker)
            log.warning("worker %s fails again: it is taken out for %g s", worker, stay_s)
        else:
            stay_s = self._suspects.enter(worker)
            log.info("worker %s is out for %g s: its trials are tried elsewhere", worker, stay_s)
        return self._context.now_s + stay_s

    def done(self, trial: int, worker: str) -> list[list[int]]:
        """A slice has succeeded. Returns trials, and how many failures are no longer theirs."""
        for quarantine in (self._suspects, self._culprits):
            quarantine.finished_slice(worker)
        pardoned = []
        for culprit in self._blame.done(trial, worker):
            self._take_out(culprit)
            failures = self._context.memory.own_failures
            for number, count in culprit.pardoned.items():
                failures[number] = max(0, failures.get(number, 0) - count)
                pardoned.append([number, count])
        return pardoned

    def is_trials_own(self, trial: int) -> bool:
        """Whether the trial's failures tell of the trial, as far as can be known."""
        return self._blame.is_trials_own(trial, self._present())

    def _take_out(self, culprit: Culprit) -> None:
        context, worker = self._context, culprit.worker
        stay_s = self._culprits.enter(worker)
        is_out = context.pool.quarantine_longer(worker, context.now_s + stay_s)
        log.warning(
            "worker %s is to blame and %s: its last %d slices failed, and their trials went on "
            "elsewhere; they are not charged%s",
            worker,
            f"taken out for {stay_s:g} s" if is_out else "on probation",
            culprit.failures,
            self._kind_gone(worker),
        )

    def _kind_gone(self, worker: str) -> str:
        kind = self._context.core.state.workers[worker].kind
        if any(info.kind == kind for info in self._context.pool.workers):
            return ""
        return f"; no worker of kind {kind} is left"

    def _present(self) -> list[str]:
        return [info.name for info in self._context.pool.workers]
