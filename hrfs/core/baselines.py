"""What people do without fusion, as policies to compare with."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import count

from hrfs.core.policy import Choice, Hold, Retire, Snapshot, Start
from hrfs.core.state import Worker, WorkerPhase


def _least_advanced(snapshot: Snapshot, reason: str) -> Start:
    place = snapshot.waiting.first
    left = snapshot.stop_iterations - place.iteration
    return Start(place.trial, min(snapshot.interval_iterations, left), reason)


class StaticPolicy:
    """A trial stays on the worker where it started (``scheduler=static``).

    The practice of a job queue: each device takes a trial, keeps it until it is done, then
    takes the next. The slowest device that was given a trial decides when the run ends.
    """

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """The worker's own trial, else one that no living worker owns, else nothing."""
        orphan: int | None = None
        for place in snapshot.waiting:
            home = snapshot.trials[place.trial].last_worker
            if home == worker.name:
                return self._whole_interval(snapshot, place.trial, "its own trial")
            gone = home is None or snapshot.workers[home].phase is WorkerPhase.GONE
            if gone and orphan is None:
                orphan = place.trial
        if orphan is None:
            return Hold("every trial that waits belongs to another worker")
        return self._whole_interval(snapshot, orphan, "a trial without a worker")

    @staticmethod
    def _whole_interval(snapshot: Snapshot, trial: int, reason: str) -> Start:
        left = snapshot.stop_iterations - snapshot.trials[trial].iteration
        return Start(trial, min(snapshot.interval_iterations, left), reason)


class FastestOnlyPolicy:
    """Only the subset of workers that would finish first by itself (``scheduler=fastest_only``).

    The practice of choosing devices by hand: measure each once (half an interval), then use
    the m fastest and leave the rest idle, m being best for least-advanced-first scheduling.
    While some are still being measured, those that are best of the measured ones go on.
    """

    def __init__(self) -> None:
        self._asked: tuple[object, ...] = ()
        self._chosen: frozenset[str] = frozenset()

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """Measure an unknown worker; serve a chosen one; retire any other."""
        if worker.first_s_per_iteration is None:
            start = _least_advanced(snapshot, "unknown speed: measured by half an interval")
            half = max(1, snapshot.interval_iterations // 2)
            return Start(start.trial, min(start.iterations, half), start.reason)
        if snapshot.recalled:
            return _least_advanced(snapshot, "every chosen worker is gone")
        here = [w for w in snapshot.workers.values() if w.phase is not WorkerPhase.GONE]
        if worker.name in self._choose_fastest(snapshot, here):
            return _least_advanced(snapshot, "one of the fastest; takes the least advanced trial")
        if any(w.first_s_per_iteration is None for w in here):
            return Hold("not one of the fastest so far, but not all workers are measured yet")
        return Retire("the faster workers finish sooner without it")

    def _choose_fastest(self, snapshot: Snapshot, here: Iterable[Worker]) -> frozenset[str]:
        """Names of the m fastest measured workers, m such that they finish the run first."""
        measured = sorted(
            (w.first_s_per_iteration, w.name) for w in here if w.first_s_per_iteration is not None
        )
        trials = len(snapshot.trials)
        asked = (trials, *measured)
        if asked != self._asked:  # once per change of the pool, not per decision
            seconds = [pair[0] for pair in measured]
            run = (trials, snapshot.stop_iterations, snapshot.interval_iterations)
            sizes = range(1, min(trials, len(seconds)) + 1)
            best = min(sizes, key=lambda m: greedy_finish_s(seconds[:m], *run))
            self._asked = asked
            self._chosen = frozenset(name for _, name in measured[:best])
        return self._chosen


def greedy_finish_s(
    seconds_per_iteration: Sequence[float], trials: int, stop_iterations: int, interval: int
) -> float:
    """Seconds until all trials are done if a free worker takes the least advanced trial.

    Every slice is one interval; nothing but the iterations takes time. Ties are broken as in
    the simulator: the slice that began first ends first, the worker that became free first is
    served first. Costs O(slices * log(workers + trials)). At least one worker.
    """
    free = deque(seconds_per_iteration)
    waiting = [0] * trials  # iterations done: trials of the same age are interchangeable
    ends: list[tuple[float, int, float, int]] = []
    slices, now_s = count(), 0.0
    while waiting or ends:
        while waiting and free:
            iteration, seconds = heapq.heappop(waiting), free.popleft()
            done = min(iteration + interval, stop_iterations)
            end_s = now_s + (done - iteration) * seconds
            heapq.heappush(ends, (end_s, next(slices), seconds, done))
        now_s, _, seconds, done = heapq.heappop(ends)
        free.append(seconds)
        if done < stop_iterations:
            heapq.heappush(waiting, done)
    return now_s
