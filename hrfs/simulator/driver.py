"""Drives the scheduling core in virtual time.

Events at the same time: slices that end or fail in the order of their numbers, then workers
that join, then workers that leave, both in the order of the spec.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from enum import IntEnum

from hrfs.core.decisions import Decision, Exploit, FinishTrial, StartSlice
from hrfs.core.events import (
    Event,
    SliceDone,
    SliceFailed,
    TrialAdded,
    WorkerJoined,
    WorkerLeft,
)
from hrfs.core.policy import Policy
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.state import WorkerPhase
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import SliceRecord
from hrfs.simulator.collector import without_collection
from hrfs.simulator.durations import Durations
from hrfs.simulator.history import History, UnderWay
from hrfs.simulator.learning import Learners
from hrfs.simulator.result import Simulation
from hrfs.simulator.spec import Workload
from hrfs.simulator.streams import Purpose, Stream

AfterEvent = Callable[[Scheduler], None]


def simulate(workload: Workload, policy: Policy) -> list[SliceRecord]:
    """The records of :func:`play`."""
    return play(workload, policy).records


def play(
    workload: Workload,
    policy: Policy,
    after_event: AfterEvent | None = None,
    max_staleness_iterations: int | None = None,
) -> Simulation:
    """Run ``workload`` to its end under ``policy``.

    ``after_event`` is shown the core after each event, to check what must hold.
    ``max_staleness_iterations`` bounds how far trials drift apart, see
    :class:`~hrfs.core.scheduler.Settings`.

    Raises:
        ConfigError: every worker has left, or a slice's seconds cannot be told as a number.
        RuntimeError: trials and workers are left and nothing runs, which no policy may do.
    """
    learning = Learners(workload.curve, workload.populations) if workload.curve else None
    settings = _settings(workload, learning, max_staleness_iterations)
    with without_collection():
        return _Clock(workload, learning, Scheduler(settings, policy), after_event).run()


class _Kind(IntEnum):
    """What is due, in the order in which things of the same time are handled."""

    SLICE = 0
    JOIN = 1
    LEAVE = 2


class _Clock:
    """Virtual time, and what is due in it."""

    def __init__(
        self,
        workload: Workload,
        learning: Learners | None,
        scheduler: Scheduler,
        after_event: AfterEvent | None,
    ) -> None:
        self._workload = workload
        self._after_event = after_event
        self._learning = learning
        self._scheduler = scheduler
        self._durations = Durations(workload)
        self._fails_probability = {w.name: w.fails_probability for w in workload.workers}
        self._fails = Stream(workload.seed, Purpose.FAILS, "uniform")
        self._fails_at = Stream(workload.seed, Purpose.FAILS_AT, "uniform")
        self._due: list[tuple[float, _Kind, int]] = []
        self._under_way: dict[int, UnderWay] = {}
        self._weights_on: dict[int, str] = {}
        self._unfinished = workload.all_trials
        self._history = History({w.name: w.kind for w in workload.workers})

    def run(self) -> Simulation:
        """Feed the core until every trial has finished."""
        for trial in range(self._workload.all_trials):
            first = self._learning.first_hyperparameters(trial) if self._learning else {}
            self._tell(TrialAdded(0.0, trial, first))
        for index, worker in enumerate(self._workload.workers):
            self._due.append((worker.joins_at_s, _Kind.JOIN, index))
            if worker.leaves_at_s is not None:
                self._due.append((worker.leaves_at_s, _Kind.LEAVE, index))
        heapq.heapify(self._due)
        now_s = 0.0
        while self._unfinished and self._due:
            now_s, kind, number = heapq.heappop(self._due)
            if kind is _Kind.SLICE:
                self._end(now_s, number)
            elif kind is _Kind.JOIN:
                worker = self._workload.workers[number]
                self._tell(WorkerJoined(now_s, worker.name, worker.kind))
            else:
                self._leave(now_s, self._workload.workers[number].name)
        if self._unfinished:
            self._complain()
        workers = self._scheduler.state.workers.values()
        retired = tuple(w.name for w in workers if w.phase is WorkerPhase.RETIRED)
        return self._history.close(now_s, retired)

    def _end(self, now_s: float, number: int) -> None:
        ended = self._under_way.pop(number, None)
        if ended is None:  # lost when its worker left
            return
        start = ended.start
        if ended.fails:
            self._history.lose(ended, now_s, "failed, as the spec has it")
            self._tell(SliceFailed(now_s, number, "failed, as the spec has it"))
            return
        score, checkpoint = None, None
        if self._learning is not None:
            score = self._learning.train(
                start.trial, start.iterations, start.hyperparameters, number
            )
            checkpoint = f"after slice {number}"
        self._weights_on[start.trial] = start.worker
        self._history.finish(ended, now_s, score)
        duration = ended.duration
        self._tell(
            SliceDone(now_s, number, duration.total_s, score, checkpoint, duration.overhead_s)
        )

    def _leave(self, now_s: float, name: str) -> None:
        number = self._scheduler.state.workers[name].slice
        if number is not None:
            self._history.lose(self._under_way.pop(number), now_s, "its worker left")
        self._tell(WorkerLeft(now_s, name, "left, as the spec has it"))

    def _tell(self, event: Event) -> None:
        self._do(event.time_s, self._scheduler.handle(event))
        if self._after_event is not None:
            self._after_event(self._scheduler)

    def _do(self, now_s: float, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, StartSlice):
                self._start(now_s, decision)
            elif isinstance(decision, FinishTrial):
                self._unfinished -= 1
            elif isinstance(decision, Exploit) and self._learning is not None:
                # The donor's last saved weights: whatever it trains at the moment is not in.
                self._weights_on[decision.trial] = self._weights_on[decision.donor]
                self._learning.take_over(decision.trial, decision.donor)
                self._history.exploit(decision, now_s)

    def _start(self, now_s: float, start: StartSlice) -> None:
        if start.slice == 0:
            self._history.begin(now_s)
        weights_on = self._weights_on.get(start.trial, start.worker)
        duration = self._durations.of(start, now_s, weights_on)
        held_s = duration.total_s
        probability = self._fails_probability[start.worker]
        fails = probability > 0 and self._fails[start.slice] < probability
        if fails:
            held_s *= self._fails_at[start.slice]
        self._under_way[start.slice] = UnderWay(start, now_s, duration, fails)
        heapq.heappush(self._due, (now_s + held_s, _Kind.SLICE, start.slice))

    def _complain(self) -> None:
        workers = self._scheduler.state.workers.values()
        if any(worker.phase is not WorkerPhase.GONE for worker in workers):
            raise RuntimeError("trials are left but no slice is under way")
        left_s = max(worker.leaves_at_s or 0.0 for worker in self._workload.workers)
        left = f"{self._unfinished} of {self._workload.all_trials} trials are unfinished"
        rule = f"all had left at {left_s:g} s while {left}"
        raise ConfigError("workers", len(self._workload.workers), rule, "let one stay longer")


def _settings(
    workload: Workload, learning: Learners | None, max_staleness_iterations: int | None
) -> Settings:
    return Settings(
        stop_iterations=workload.stop_iteration,
        interval_iterations=workload.interval,
        search_space=learning.search_space if learning else {},
        target_score=workload.target_score,
        stop_on_target=workload.stop_on_target,
        populations=workload.populations,
        max_staleness_iterations=max_staleness_iterations,
    )
