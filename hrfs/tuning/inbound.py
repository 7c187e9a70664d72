"""From the cluster to the core: what happened becomes events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ray.tune.experiment import Trial

from hrfs.core.events import (
    Event,
    SliceDone,
    SliceFailed,
    TrialAdded,
    TrialRemoved,
    WorkerJoined,
    WorkerLeft,
)
from hrfs.core.state import RunningSlice, TrialPhase, WorkerPhase
from hrfs.experiment.event_log import Entry
from hrfs.experiment.records import WorkerInfo
from hrfs.tuning.context import Context
from hrfs.tuning.dispatch import Dispatched, held_s, score_of, slice_record
from hrfs.tuning.failures import read_failure
from hrfs.tuning.privates import checkpoint_path


class Inbound:
    """Collects events. Tune's hooks note things at any time; ``collect`` makes up the balance."""

    def __init__(self, context: Context, max_failures: int) -> None:
        self._context = context
        self._max_failures = max_failures
        self._events: list[Entry] = []
        self._errors: list[Trial] = []
        self._last_own_failure = ""
        self._failed_on: set[str] = set()
        """Workers on which some slice ended in an exception."""
        self._reported: dict[int, tuple[Mapping[str, Any], float]] = {}

    def note(self, event: Event, **facts: Any) -> None:
        """An event, and what the driver alone knows of it."""
        self._events.append(Entry(event, facts))

    def note_trial(self, number: int, trial: Trial) -> None:
        """A trial that the core does not know yet."""
        values = {name: trial.config[name] for name in self._context.plan.search_space}
        self.note(TrialAdded(self._context.now_s, number, values), trial_id=trial.trial_id)

    def note_removed(self, number: int, reason: str) -> None:
        """Tune has ended a trial, perhaps because the core had it ended."""
        known = self._context.core.state.trials.get(number)
        if known is not None and known.phase is not TrialPhase.FINISHED:
            self.note(TrialRemoved(self._context.now_s, number, reason))

    def note_result(self, number: int, result: Mapping[str, Any]) -> None:
        """A slice is trained and evaluated; it counts once the trial is saved and paused."""
        if self._context.slice_of(number) is not None:
            self._reported[number] = (result, self._context.now_s)

    def note_error(self, trial: Trial) -> None:
        """A slice was lost; Tune either queues the trial again or ends it."""
        self._errors.append(trial)

    def collect(self) -> list[Entry]:
        """All events since the last call, in an order in which the core can take them."""
        self._look_at_pool()
        self._look_at_errors()
        self._look_at_results()
        events, self._events = self._events, []
        return events

    # Workers

    def discover(self) -> None:
        """The first look at the cluster.

        What an earlier driver knew as a worker and is there again, by its name, is the same
        worker: it does again what it was at.

        Raises:
            ConfigError: no worker can be made of it.
        """
        context = self._context
        bundles = context.pool.discover()
        here = {bundle.info.name: bundle.info for bundle in bundles}
        context.observers.on_start(context.plan, list(here.values()))
        known = context.core.state.workers.values()
        present = {w.name: w for w in known if w.phase is not WorkerPhase.GONE}
        for name, worker in present.items():
            if name not in here or here[name].kind != worker.kind:
                self._take_out(name, "is not there any more")
        for info in here.values():
            if info.name not in present or present[info.name].kind != info.kind:
                self._join(info)

    def _join(self, info: WorkerInfo) -> None:
        self.note(WorkerJoined(self._context.now_s, info.name, info.kind), worker=asdict(info))

    def _take_out(self, worker: str, reason: str) -> None:
        context = self._context
        held = context.core.state.workers[worker].slice
        self._lose_worker(worker, reason)
        if held is not None:
            context.tell_lost(context.core.state.running[held], reason)

    def _look_at_pool(self) -> None:
        context = self._context
        change = context.pool.look(context.now_s)
        for worker, reason in change.left.items():
            self._take_out(worker, reason)
        for bundle in change.joined:
            self._join(bundle.info)
        if change.left or change.joined:
            joined = [bundle.info for bundle in change.joined]
            context.observers.on_workers(context.now_s, joined, list(change.left))

    def _lose_worker(self, worker: str, reason: str) -> None:
        """Take a worker out, and back what waits for it; what runs there fails by itself."""
        context = self._context
        context.controller.let_cool(worker)
        for number, dispatched in list(context.dispatched.items()):
            if dispatched.bundle.info.name == worker:
                del context.dispatched[number]
                if dispatched.trial.status == Trial.PENDING:
                    context.controller.withdraw(dispatched.trial)
        self.note(WorkerLeft(context.now_s, worker, reason))

    # Failures

    def _look_at_errors(self) -> None:
        errors, self._errors = self._errors, []
        for trial in errors:
            self._context.controller.forget_reset(trial)
            number = self._context.memory.numbers[trial.trial_id]
            self._reported.pop(number, None)
            lost = self._context.slice_of(number)
            if lost is not None and lost.number in self._context.dispatched:
                self._explain(trial, lost)

    def _explain(self, trial: Trial, lost: RunningSlice) -> None:
        """Say whether the worker or the training is to blame, and what follows."""
        context = self._context
        failure = read_failure(trial)
        del context.dispatched[lost.number]
        failures = context.memory.own_failures
        if failure.worker_died:
            self._lose_worker(lost.worker, failure.reason)
            context.pool.quarantine(lost.worker)
            context.observers.on_workers(context.now_s, [], [lost.worker])
        else:
            failures[lost.trial] = failures.get(lost.trial, 0) + 1
            self._last_own_failure = failure.reason
            self._failed_on.add(lost.worker)
            failed = SliceFailed(context.now_s, lost.number, failure.reason)
            self.note(failed, own_failure=True)
        context.tell_lost(lost, failure.reason)
        if trial.status == Trial.ERROR or failures.get(lost.trial, 0) > self._max_failures:
            self.note(TrialRemoved(context.now_s, lost.trial, f"gave up: {failure.reason}"))

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
        return None

    # Results

    def _look_at_results(self) -> None:
        for number, (result, reported_s) in list(self._reported.items()):
            trial = self._context.trials[number]
            if trial.status != Trial.PAUSED:
                continue  # still being saved
            del self._reported[number]
            running = self._context.slice_of(number)
            if running is not None and running.number in self._context.dispatched:
                self._finish(self._context.dispatched.pop(running.number), result, reported_s)

    def _finish(self, done: Dispatched, result: Mapping[str, Any], reported_s: float) -> None:
        context, number = self._context, done.start.trial
        now_s, saved = context.now_s, checkpoint_path(done.trial)
        began_from = context.memory.exploits.path_for(number, done.start.checkpoint)
        if saved is None or saved == began_from:
            reason = "the trainable saved no checkpoint"
            self.note(SliceFailed(now_s, done.start.slice, reason))
            context.tell_lost(context.core.state.running[done.start.slice], reason)
            return
        score = score_of(result, context.plan.metric)
        record = slice_record(done, result, reported_s, now_s, score)
        context.observers.on_slice(record)
        duration_s, overhead_s = held_s(record, result)
        ended = SliceDone(now_s, record.slice, duration_s, score, saved, overhead_s)
        self.note(ended, record=asdict(record))
