"""Slices that are lost: whose fault it is, and what follows for trial and worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial

from hrfs.core.events import CheckpointLost, SliceFailed, TrialRemoved, WorkerLeft
from hrfs.core.state import RunningSlice
from hrfs.tuning.blame import Verdict
from hrfs.tuning.context import Context
from hrfs.tuning.failures import Failure, read_failure
from hrfs.tuning.fallback import is_lost
from hrfs.tuning.storage_saves import FailedSaves
from hrfs.tuning.suspicion import Suspicion
from hrfs.tuning.watchdog import Overdue

CHANCE_LOSSES = 5
"""Processes that may die in a row with the same trial before the trial is held to be the cause."""


class Losses:
    """Makes events of what was lost, and counts it.

    Args:
        note: takes each event, and what the driver alone knows of it.
        max_failures: how many failures of its own a trial may have before it is given up.
    """

    def __init__(self, context: Context, note: Callable[..., None], max_failures: int) -> None:
        self._context = context
        self._note = note
        self._max_failures = max_failures
        self._suspicion = Suspicion(context)
        self._saves = FailedSaves()
        self._last_own_failure = ""
        self._lost_in_a_row: dict[int, int] = {}
        """Processes that died of each trial since it last finished a slice."""
        self._failed_on: set[str] = set()
        """Workers on which some slice ended in an exception."""

    def note_done(self, trial: int, worker: str) -> list[list[int]]:
        """A slice is done and saved; returns what :meth:`Suspicion.done` does."""
        self._lost_in_a_row.pop(trial, None)
        self._saves.note_saved(worker)
        return self._suspicion.done(trial, worker)

    # Workers

    def take_out(self, worker: str, reason: str) -> None:
        """A worker is gone, and with it what it was at."""
        context = self._context
        held = context.core.state.workers[worker].slice
        self._lose_worker(worker, reason)
        if held is not None:
            context.tell_lost(context.core.state.running[held], reason, "worker lost")

    def _lose_worker(self, worker: str, reason: str, hung: bool = False, **facts: Any) -> None:
        """Take a worker out, and back what waits for it or is still under way there.

        A process may outlive its node's place in Ray's list, and would then end nothing.
        """
        context = self._context
        context.controller.let_cool(worker)
        for number, dispatched in list(context.dispatched.items()):
            if dispatched.bundle.info.name == worker:
                del context.dispatched[number]
                if dispatched.trial.status == Trial.PENDING:
                    context.controller.withdraw(dispatched.trial)
                elif dispatched.trial.status == Trial.RUNNING:
                    context.controller.abandon(dispatched.trial)
        self._note(WorkerLeft(context.now_s, worker, reason, hung), **facts)

    # Slices

    def explain(self, trial: Trial, lost: RunningSlice) -> None:
        """Say whether the worker or the training is to blame, and what follows."""
        context = self._context
        failure = read_failure(context.controller.error_of(trial))
        del context.dispatched[lost.number]
        facts: dict[str, Any] = {"kind": failure.kind}
        if self._falls_back(trial, lost, failure, facts):
            return
        own = failure.own or (failure.worker_died and self._kills_its_workers(lost.trial))
        verdict = self._suspicion.failed(lost.trial, lost.worker) if own else Verdict.NOTHING
        if own and verdict is not Verdict.TO_BLAME:
            facts["own_failure"] = True
            self._count(lost, failure.reason)
        out = failure.worker_died or self._cannot_save(lost.worker, failure)
        if out or verdict is not Verdict.NOTHING:
            self._lose_worker(lost.worker, failure.reason, **facts)
            context.pool.quarantine(lost.worker, self._suspicion.put_out(lost.worker, verdict))
            context.observers.on_workers(context.now_s, [], [lost.worker])
        else:
            self._note(SliceFailed(context.now_s, lost.number, failure.reason), **facts)
        context.tell_lost(lost, failure.reason, failure.kind, failure.traceback)
        self._give_up_if_due(lost.trial, failure.reason, trial.status == Trial.ERROR)

    def explain_unsaved(self, lost: RunningSlice) -> None:
        """A slice ended well, and no checkpoint of it is there."""
        context, reason = self._context, "the trainable saved no checkpoint"
        self._count(lost, reason)
        failed = SliceFailed(context.now_s, lost.number, reason)
        self._note(failed, kind="exception", own_failure=True)
        context.tell_lost(lost, reason, "exception")
        self._give_up_if_due(lost.trial, reason)

    def _falls_back(
        self, trial: Trial, lost: RunningSlice, failure: Failure, facts: dict[str, Any]
    ) -> bool:
        """Have the core take a trial back whose checkpoint is lost, if that is what happened.

        That is no failure of the trial. To begin anew counts as one: on a storage that keeps
        nothing a trial would be trained for ever.
        """
        context = self._context
        known = context.core.state.trials[lost.trial]
        path = context.memory.exploits.path_for(lost.trial, known.checkpoint)
        if failure.kind != "checkpoint damaged" or path is None or not is_lost(trial, path):
            return False
        if known.before is None or known.before.checkpoint is None:
            facts["own_failure"] = True
            self._count(lost, failure.reason)
        self._note(CheckpointLost(context.now_s, lost.number, failure.reason), **facts)
        context.tell_lost(lost, failure.reason, failure.kind, failure.traceback)
        self._give_up_if_due(lost.trial, failure.reason, trial.status == Trial.ERROR)
        return True

    def _cannot_save(self, worker: str, failure: Failure) -> bool:
        """Whether a worker is to be taken out since it, and not the disk, fails at saving."""
        if failure.unsaved is None:
            return False
        pool = self._context.pool
        present = [info.name for info in pool.workers]
        takes_out = self._saves.note_failed(worker, failure.unsaved, present)
        if takes_out:
            pool.doubt_storage(worker)
        return takes_out

    def _kills_its_workers(self, trial: int) -> bool:
        """Whether so many processes died of a trial that it is more than chance.

        A process that the kernel killed for its hunger looks like any other that was killed.
        """
        self._lost_in_a_row[trial] = self._lost_in_a_row.get(trial, 0) + 1
        return self._lost_in_a_row[trial] > CHANCE_LOSSES

    def abandon(self, overdue: Overdue, out_until_s: float, hangs: int) -> None:
        """Give up a slice that hangs, and its worker for a while.

        ``hangs``: how many slices of its trial hung, this one included.
        """
        context = self._context
        lost = context.core.state.running[overdue.slice]
        context.controller.abandon(context.dispatched[overdue.slice].trial)
        self._lose_worker(lost.worker, overdue.reason, overdue.at_work, kind="worker hung")
        context.pool.quarantine(lost.worker, out_until_s)
        context.observers.on_workers(context.now_s, [], [lost.worker])
        context.tell_lost(lost, overdue.reason, "worker hung")
        if hangs > self._max_failures:
            self._give_up_if_due(lost.trial, overdue.reason, ended=True)

    def _count(self, lost: RunningSlice, reason: str) -> None:
        """One more failure of the trial's own."""
        failures = self._context.memory.own_failures
        failures[lost.trial] = failures.get(lost.trial, 0) + 1
        self._last_own_failure = reason
        self._failed_on.add(lost.worker)

    def _give_up_if_due(self, trial: int, reason: str, ended: bool = False) -> None:
        """End a trial that failed too often, or that Tune has ``ended``."""
        often = self._context.memory.own_failures.get(trial, 0) > self._max_failures
        if ended or (often and self._suspicion.is_trials_own(trial)):
            self._note(TrialRemoved(self._context.now_s, trial, f"gave up: {reason}"))

    def hopeless(self) -> str | None:
        """Why no trial will ever get anywhere, if that is so.

        A mistake that meets every trial on every worker is not worth a process per trial and
        retry; one that meets a single worker (too little memory, say) is no reason to stop.
        """
        failures = sum(self._context.memory.own_failures.values())
        everywhere = all(w.name in self._failed_on for w in self._context.pool.workers)
        nowhere_on = self._context.core.state.leader == 0
        if failures > self._max_failures and nowhere_on and everywhere:
            return f"the first {failures} slices all failed; the last: {self._last_own_failure}"
        core, own = self._context.core, self._context.memory.own_failures
        failed = [own.get(number, 0) > self._max_failures for number in core.state.trials]
        if failed and all(failed) and core.finished:
            return f"every trial failed; the last: {self._last_own_failure}"
        return None
