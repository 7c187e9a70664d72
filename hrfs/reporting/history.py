"""What has happened so far in a run: the one memory that every report is made from.

:class:`History` is an observer that keeps records and, per trial, running totals. It never
computes from a clock: all times are those of the records.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import (
    ExploitRecord,
    FailureRecord,
    RollbackRecord,
    SliceRecord,
    SliceStart,
    WorkerInfo,
)

_log = logging.getLogger("hrfs")

ERROR_PREFIXES = ("error", "gave up")
"""A trial whose end's reason starts with one of these has failed for good."""


class Before(NamedTuple):
    """What a trial was at the checkpoint before its present one; at first its beginning."""

    last_score: float | None = None
    last_worker: str | None = None
    lineage: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class TrialHistory:
    """Running totals of one trial. Iterations are optimizer steps, seconds hold a worker."""

    trial: int
    hyperparameters: Mapping[str, Any]
    """The values in force now: those of its latest slice, running or done."""
    iterations: int = 0
    best: SliceRecord | None = None
    last_score: float | None = None
    last_worker: str | None = None
    timeline: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """(from_iteration, values) of every change, over the slices that ended with a result."""
    lineage: tuple[tuple[int, int], ...] = ()
    """Where its weights come from, newest first: (donor, own iteration at the exploit), ..."""
    seconds_by_kind: dict[str, float] = field(default_factory=dict)
    slices_by_kind: dict[str, int] = field(default_factory=dict)
    exploits_taken: int = 0
    exploits_given: int = 0
    failures: int = 0
    lost_iterations: int = 0
    """Done, and to be done again since a checkpoint could not be read."""
    before: Before = field(default_factory=Before)
    """The state to which the trial goes back then."""
    ended: bool = False
    end_reason: str = ""

    def step(self) -> None:
        """The trial has a new checkpoint: what it is now can be gone back to."""
        self.before = Before(self.last_score, self.last_worker, self.lineage)

    def go_back(self, record: RollbackRecord) -> None:
        """Forget what was lost; what it cost (seconds, slices, failures) stays."""
        kept = Before() if record.anew else self.before
        self.last_score, self.last_worker, self.lineage = kept
        self.before = Before()
        self.iterations = record.iteration
        self.lost_iterations += record.lost_iterations
        self.timeline = [change for change in self.timeline if change[0] < record.iteration]

    @property
    def seconds(self) -> float:
        """Seconds for which its finished slices held a worker."""
        return math.fsum(self.seconds_by_kind.values())

    def status(self, stop_iterations: int) -> str:
        """``finished``, ``error``, ``stopped`` (ended early) or ``unfinished``."""
        if self.iterations >= stop_iterations:
            return "finished"
        if not self.ended:
            return "unfinished"
        failed = self.end_reason.strip().lower().startswith(ERROR_PREFIXES)
        return "error" if failed else "stopped"


class History(Observer):
    """Keeps what the run tells. To be the first of its observers."""

    def __init__(self) -> None:
        self.records: list[SliceRecord] = []
        self.exploits: list[ExploitRecord] = []
        self.failures: list[FailureRecord] = []
        self.rollbacks: list[RollbackRecord] = []
        self.workers: dict[str, WorkerInfo] = {}
        """Every worker ever seen, in the order of their arrival."""
        self.present: set[str] = set()
        self.worker_states: dict[str, tuple[str, str]] = {}
        """Worker to (state, reason) as the scheduler last said."""
        self.running: dict[str, SliceStart] = {}
        """Worker to the slice that it runs."""
        self.trials: dict[int, TrialHistory] = {}
        self.warnings: list[str] = []
        self.iterations = 0
        self.busy_s: dict[str, float] = {}
        self.worker_iterations: dict[str, int] = {}
        self._plan: Plan | None = None

    @property
    def started(self) -> bool:
        """Whether the run has begun; one that found no cluster ends without having begun."""
        return self._plan is not None

    @property
    def plan(self) -> Plan:
        """The plan of the run. Raises RuntimeError if that has not started."""
        if self._plan is None:
            raise RuntimeError("the history has no plan before on_start")
        return self._plan

    def warn(self, message: str) -> None:
        """Log ``message`` and keep it for the summary."""
        _log.warning("%s", message)
        self.warnings.append(message)

    def better(self, score: float, than: float) -> bool:
        """Whether ``score`` ranks before ``than`` in the plan's mode; equals do not."""
        return score > than if self.plan.mode == "max" else score < than

    def speeds(self) -> dict[str, float]:
        """Iterations per second of each worker with an iteration done, over its held time."""
        return {
            name: done / self.busy_s[name]
            for name, done in self.worker_iterations.items()
            if done > 0 and self.busy_s[name] > 0
        }

    def leader_iterations(self) -> int:
        """Iterations of the most advanced trial."""
        return max((trial.iterations for trial in self.trials.values()), default=0)

    def of_population(self, population: int | None) -> Iterable[TrialHistory]:
        """The trials of one population, or of all (None), by their numbers."""
        if population is None:
            return self.trials.values()
        return [self.trials[number] for number in self.plan.populations.members(population)]

    def best(self, population: int | None = None) -> SliceRecord | None:
        """The slice with the best finite score; of equals the one that ended first.

        Of one population, or of all (None).
        """
        chosen: SliceRecord | None = None
        for trial in self.of_population(population):
            if trial.best is not None and (chosen is None or self._beats(trial.best, chosen)):
                chosen = trial.best
        return chosen

    def winner(self, population: int | None = None) -> TrialHistory | None:
        """The trial with the best last score, of equals the one with the lowest number.

        Of one population, or of all (None). The last score counts and not the best one: its
        weights are those that still exist.
        """
        chosen: TrialHistory | None = None
        for trial in self.of_population(population):
            score = trial.last_score
            if score is None or not math.isfinite(score):
                continue
            if chosen is None or chosen.last_score is None or self.better(score, chosen.last_score):
                chosen = trial
        return chosen

    def _beats(self, one: SliceRecord, other: SliceRecord) -> bool:
        assert one.score is not None
        assert other.score is not None
        if one.score == other.score:
            return (one.end_s, one.slice) < (other.end_s, other.slice)
        return self.better(one.score, other.score)

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        """Of a run that goes on, what was told before stays; the workers are those of now."""
        self._plan = plan
        self.present.clear()
        self.running.clear()
        self._join(workers)
        self.trials = self.trials or {
            trial: TrialHistory(trial, plan.initial_hyperparameters(trial))
            for trial in range(plan.trials)
        }

    def on_workers(self, time_s: float, joined: Sequence[WorkerInfo], left: Sequence[str]) -> None:
        self._join(joined)
        for name in left:
            self.present.discard(name)
            self.running.pop(name, None)

    def _join(self, workers: Sequence[WorkerInfo]) -> None:
        for worker in workers:
            self.workers[worker.name] = worker
            self.present.add(worker.name)

    def on_worker_state(self, time_s: float, worker: str, state: str, reason: str) -> None:
        self.worker_states[worker] = (state, reason)

    def on_slice_start(self, start: SliceStart) -> None:
        self.running[start.worker] = start
        self.worker_states.pop(start.worker, None)
        self.trials[start.trial].hyperparameters = start.hyperparameters

    def on_slice(self, record: SliceRecord) -> None:
        started = self.running.get(record.worker)
        if started is not None and started.slice == record.slice:
            del self.running[record.worker]
        self.records.append(record)
        self.iterations += record.iterations
        self._add_to_worker(record)
        self._add_to_trial(self.trials[record.trial], record)

    def _add_to_worker(self, record: SliceRecord) -> None:
        name = record.worker
        self.busy_s[name] = self.busy_s.get(name, 0.0) + record.duration_s
        self.worker_iterations[name] = self.worker_iterations.get(name, 0) + record.iterations

    def _add_to_trial(self, trial: TrialHistory, record: SliceRecord) -> None:
        kind = self.kind_of(record)
        trial.step()
        trial.iterations = record.to_iteration
        trial.last_worker = record.worker
        trial.seconds_by_kind[kind] = trial.seconds_by_kind.get(kind, 0.0) + record.duration_s
        trial.slices_by_kind[kind] = trial.slices_by_kind.get(kind, 0) + 1
        if record.hyperparameters:
            trial.hyperparameters = record.hyperparameters
            values = dict(record.hyperparameters)
            if not trial.timeline or trial.timeline[-1][1] != values:
                trial.timeline.append((record.from_iteration, values))
        if record.score is not None:
            trial.last_score = record.score
            if math.isfinite(record.score) and (
                trial.best is None or self._beats(record, trial.best)
            ):
                trial.best = record

    def kind_of(self, record: SliceRecord) -> str:
        """Kind of the record's worker, from the record or else from the worker itself."""
        known = self.workers.get(record.worker)
        return record.worker_kind or (known.kind if known else "unknown")

    def on_exploit(self, record: ExploitRecord) -> None:
        self.exploits.append(record)
        taker, donor = self.trials[record.trial], self.trials[record.donor]
        taker.step()
        taker.lineage = ((record.donor, record.iteration), *donor.lineage)
        taker.exploits_taken += 1
        donor.exploits_given += 1
        taker.hyperparameters = record.after

    def on_failure(self, record: FailureRecord) -> None:
        self.failures.append(record)
        if record.slice is not None:
            lost = [w for w, start in self.running.items() if start.slice == record.slice]
            for worker in lost:
                del self.running[worker]
        if record.trial is not None:
            self.trials[record.trial].failures += 1

    def on_rollback(self, record: RollbackRecord) -> None:
        self.rollbacks.append(record)
        self.warnings.append(record.told())  # the log has it from the driver
        self.iterations -= record.lost_iterations
        self.trials[record.trial].go_back(record)

    def on_trial_end(self, time_s: float, trial: int, reason: str) -> None:
        self.trials[trial].ended = True
        self.trials[trial].end_reason = reason

    def on_end(self, time_s: float) -> None:
        self.running.clear()
