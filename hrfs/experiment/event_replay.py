"""From the event log back to the state of a run.

A fresh scheduling core is told the same events again and decides the same. With it come its
estimates, the standings and the lineage; random streams follow from seed, member and iteration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hrfs.core.decisions import (
    Decision,
    Exploit,
    FinishTrial,
    RecallWorker,
    RetireWorker,
    RollBack,
    StartSlice,
    Wait,
)
from hrfs.core.events import (
    CheckpointLost,
    SliceDone,
    SliceFailed,
    TrialAdded,
    WorkerJoined,
    WorkerLeft,
)
from hrfs.core.policies import make_policy
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.search_space import Choice
from hrfs.core.state import Trial, WorkerPhase
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.event_log import Entry, Log, settings_of
from hrfs.experiment.observer import Observer, RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import (
    FAILURE_KINDS,
    ExploitRecord,
    FailureKind,
    FailureRecord,
    RollbackRecord,
    SliceRecord,
    WorkerInfo,
)


def make_core(plan: Plan, policy: str, max_staleness_iterations: int | None) -> Scheduler:
    """A scheduling core to which nothing has happened yet.

    Raises:
        ValueError: no such policy, or numbers that do not fit.
    """
    settings = Settings(
        stop_iterations=plan.stop_iterations,
        interval_iterations=plan.interval_iterations,
        search_space=plan.search_space,
        pbt=plan.pbt,
        mode=plan.mode,
        target_score=plan.target_score,
        stop_on_target=plan.stop_on_target,
        populations=plan.populations,
        max_staleness_iterations=max_staleness_iterations,
        timetable=plan.timetable,
    )
    return Scheduler(settings, make_policy(policy))


class Replay:
    """What the entries of a log amount to.

    ``observer`` is told the records of the run as it was when they were made.
    """

    def __init__(self, core: Scheduler, observer: RunObserver | None = None) -> None:
        self.core = core
        self._observer = observer or Observer()
        self._starts: dict[int, StartSlice] = {}
        self.numbers: dict[str, int] = {}
        """Number of each trial, by Tune's id."""
        self.copies: dict[tuple[int, str], str] = {}
        """Where a trial's own copy of a donor's checkpoint lies."""
        self.exploits = 0
        self.own_failures: dict[int, int] = {}
        """Slices of each trial that ended in an exception of its own."""
        self.elapsed_s = 0.0
        self.size = 0
        """Bytes of the log."""

    @property
    def kept(self) -> dict[int, list[str]]:
        """Folders of the checkpoints of each trial that are needed, the newest last."""
        trials = self.core.state.trials
        return {number: checkpoints_of(trial, self.copies) for number, trial in trials.items()}

    def under_way(self) -> list[StartSlice]:
        """The slices that had begun and not ended, in the order of their numbers."""
        return [self._starts[number] for number in sorted(self.core.state.running)]

    def feed(self, entry: Entry) -> None:
        """Tell the core one more event.

        Raises:
            ValueError: it contradicts those before, or the core decides other than it did then.
        """
        event, facts = entry.event, entry.facts
        if isinstance(event, TrialAdded):
            event = self._added(event, facts)
        self._tell_event(entry)
        decisions = self.core.handle(event)
        starts = [d for d in decisions if isinstance(d, StartSlice)]
        if told_starts(starts) != facts.get("starts", []):
            raise ValueError(f"the core starts {told_starts(starts)}, not {facts.get('starts')}")
        for decision in decisions:
            self._take(decision, event.time_s, facts)
        self._starts = {n: s for n, s in self._starts.items() if n in self.core.state.running}
        self.elapsed_s = max(self.elapsed_s, event.time_s)

    def _added(self, event: TrialAdded, facts: Mapping[str, Any]) -> TrialAdded:
        self.numbers[facts["trial_id"]] = event.trial
        space = self.core.settings.search_space
        values = {
            name: _as_listed(space[name].initial, value) if name in space else value
            for name, value in event.hyperparameters.items()
        }
        return TrialAdded(event.time_s, event.trial, values)

    def _tell_event(self, entry: Entry) -> None:
        """What the observers were told before the core was; it still knows who did what."""
        event, facts = entry.event, entry.facts
        if isinstance(event, SliceDone):
            self._observer.on_slice(SliceRecord(**facts["record"]))
            for number, count in facts.get("pardoned", ()):
                self.own_failures[number] = max(0, self.own_failures.get(number, 0) - count)
        elif isinstance(event, SliceFailed):
            kind: FailureKind = "exception" if facts.get("own_failure") else "unknown"
            self._tell_lost(event.slice, entry, kind)
        elif isinstance(event, CheckpointLost):
            self._tell_lost(event.slice, entry, "checkpoint damaged")
        elif isinstance(event, WorkerJoined):
            self._observer.on_workers(event.time_s, [WorkerInfo(**facts["worker"])], [])
        elif isinstance(event, WorkerLeft):
            worker = self.core.state.workers.get(event.worker)
            if worker is not None and worker.phase is WorkerPhase.BUSY:
                assert worker.slice is not None
                self._tell_lost(worker.slice, entry, "worker lost")
            self._observer.on_workers(event.time_s, [], [event.worker])

    def _tell_lost(self, number: int, entry: Entry, kind: FailureKind) -> None:
        """``kind`` is what it was if the log, an older one, does not say."""
        event, facts = entry.event, entry.facts
        assert isinstance(event, SliceFailed | CheckpointLost | WorkerLeft)
        lost = self.core.state.running.get(number)
        if lost is None:
            raise ValueError(f"slice {number} is not under way")
        if facts.get("own_failure"):
            self.own_failures[lost.trial] = self.own_failures.get(lost.trial, 0) + 1
        told = facts.get("kind", kind)
        self._observer.on_failure(
            FailureRecord(
                time_s=event.time_s,
                slice=number,
                trial=lost.trial,
                worker=lost.worker,
                reason=event.reason,
                kind=told if told in FAILURE_KINDS else "unknown",
            )
        )

    def _take(self, decision: Decision, time_s: float, facts: Mapping[str, Any]) -> None:
        tell = self._observer.on_worker_state
        match decision:
            case StartSlice():
                self._starts[decision.slice] = decision
            case Exploit():
                mine = {key: at for key, at in self.copies.items() if key[0] != decision.trial}
                self.copies = {**mine, (decision.trial, decision.checkpoint): facts["copy"]}
                self.exploits += 1
                self._observer.on_exploit(ExploitRecord.of(decision, time_s))
            case RollBack():
                self._observer.on_rollback(RollbackRecord.of(decision, time_s))
            case FinishTrial(trial=number, reason=reason):
                self._observer.on_trial_end(time_s, number, reason)
            case RetireWorker(worker=worker, reason=reason):
                tell(time_s, worker, "retired", reason)
            case RecallWorker(worker=worker, reason=reason):
                tell(time_s, worker, "free", reason)
            case Wait(worker=worker, reason=reason):
                tell(time_s, worker, "waiting", reason)


def checkpoints_of(trial: Trial, copies: Mapping[tuple[int, str], str]) -> list[str]:
    """Folders that ``trial`` goes on from, now or if the newest, the last one, is lost.

    Two at most. What came of an exploit lies where ``copies`` says.
    """
    states = [trial.saved()] if trial.before is None else [trial.before, trial.saved()]
    return [
        state.checkpoint
        if state.parent is None
        else copies.get((trial.number, state.checkpoint), state.checkpoint)
        for state in states
        if state.checkpoint is not None
    ]


def told_starts(starts: list[StartSlice]) -> list[list[Any]]:
    """The slices in the form in which the log keeps them, to be compared."""
    return [[s.slice, s.trial, s.worker, s.iterations] for s in starts]


def _as_listed(domain: Any, value: Any) -> Any:
    """``value`` as the search space lists it: JSON has no tuples, and no objects."""
    if isinstance(domain, Choice):
        written = json.dumps(value)
        same = (v for v in domain.values if json.dumps(v, default=repr) == written)
        return next(same, value)
    return value


def rebuild(
    log: Log,
    name: str,
    plan: Plan,
    policy: str,
    max_staleness_iterations: int | None = None,
    observer: RunObserver | None = None,
) -> Replay:
    """The state that ``log``, called ``name`` in complaints, leads to.

    Raises:
        ConfigError: the run has other settings by now, or this version decides otherwise.
    """
    now = settings_of(plan, policy, max_staleness_iterations)
    for key in sorted({*now, *log.settings}):
        if now.get(key) != log.settings.get(key):
            rule = f"was {log.settings.get(key)} when the run began"
            raise ConfigError(key, now.get(key), rule, "a resumed run keeps its settings")
    replay = Replay(make_core(plan, policy, max_staleness_iterations), observer)
    for number, entry in enumerate(log.entries, start=2):
        try:
            replay.feed(entry)
        except (ValueError, KeyError, TypeError) as error:
            rule = f"line {number} does not follow from those before: {error}"
            remedy = "resume with the version of hrfs that wrote it"
            raise ConfigError("resume", name, rule, remedy) from error
    replay.size = log.size
    return replay
