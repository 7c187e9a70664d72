"""From the cluster to the core: what happened becomes events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ray.tune.experiment import Trial

from hrfs.core.events import (
    Event,
    SliceDone,
    TrialAdded,
    TrialRemoved,
    WorkerJoined,
)
from hrfs.core.state import TrialPhase, WorkerPhase
from hrfs.experiment.event_log import Entry
from hrfs.experiment.records import WorkerInfo
from hrfs.tuning.context import Context
from hrfs.tuning.cores import CoreNotes
from hrfs.tuning.dispatch import Dispatched, held_s, score_of, slice_record
from hrfs.tuning.facts import FactNotes
from hrfs.tuning.hung import HungSlices
from hrfs.tuning.losses import Losses
from hrfs.tuning.privates import checkpoint_path
from hrfs.tuning.storage_gate import local_storage
from hrfs.tuning.trainable import SLICE_KEY


class Inbound:
    """Collects events. Tune's hooks note things at any time; ``collect`` makes up the balance."""

    def __init__(self, context: Context, max_failures: int) -> None:
        self._context = context
        self._hung = HungSlices(context)
        self._cores = CoreNotes()
        self._losses = Losses(context, self.note, max_failures)
        self._events: list[Entry] = []
        self._errors: list[Trial] = []
        self._reported: dict[int, tuple[Mapping[str, Any], float]] = {}
        self._facts = FactNotes()

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

    def is_late(self, number: int, result: Mapping[str, Any]) -> bool:
        """Whether a result is of another slice than the trial is in: one that was abandoned."""
        running, told = self._context.slice_of(number), result.get(f"config/{SLICE_KEY}/slice")
        return running is not None and told is not None and told != running.number

    def note_error(self, trial: Trial) -> None:
        """A slice was lost; Tune either queues the trial again or ends it."""
        self._errors.append(trial)

    def collect(self) -> list[Entry]:
        """All events since the last call, in an order in which the core can take them."""
        self._look_at_pool()
        self._look_at_errors()
        self._look_at_results()
        self._look_at_hung()
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
        shared = local_storage(context.trials)
        if shared is not None:
            context.pool.keep_to_storage(shared)
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
        held = self._context.core.state.workers[worker].slice
        if held is not None:  # what was reported of it must not be taken for a later slice's
            self._reported.pop(self._context.core.state.running[held].trial, None)
        self._losses.take_out(worker, reason)

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

    # Failures

    def _look_at_errors(self) -> None:
        errors, self._errors = self._errors, []
        for trial in errors:
            self._context.controller.forget_reset(trial)
            number = self._context.memory.numbers[trial.trial_id]
            self._reported.pop(number, None)
            lost = self._context.slice_of(number)
            if lost is not None and lost.number in self._context.dispatched:
                self._losses.explain(trial, lost)

    def _look_at_hung(self) -> None:
        for overdue in self._hung.look():
            trial = self._context.core.state.running[overdue.slice].trial
            self._reported.pop(trial, None)
            until_s, hangs = self._hung.put_out(overdue.worker), self._hung.note_hung(trial)
            self._losses.abandon(overdue, until_s, hangs)

    def hopeless(self) -> str | None:
        """Why no trial will ever get anywhere, if that is so."""
        return self._losses.hopeless()

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
            self._losses.explain_unsaved(context.core.state.running[done.start.slice])
            return
        score = score_of(result, context.plan.metric)
        record = slice_record(done, result, reported_s, now_s, score)
        context.observers.on_slice(record)
        self._cores.note(done.bundle, result)
        if facts := self._facts.news(record.worker, result):
            context.observers.on_worker_facts(now_s, record.worker, facts)
        duration_s, overhead_s = held_s(record, result)
        ended = SliceDone(now_s, record.slice, duration_s, score, saved, overhead_s)
        self._hung.note_done(record.slice, number, record.worker)
        pardoned = self._losses.note_done(number, record.worker)
        self.note(ended, record=asdict(record), **({"pardoned": pardoned} if pardoned else {}))
