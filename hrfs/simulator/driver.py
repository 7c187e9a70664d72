"""Drives the scheduling core in virtual time.

Events at the same time are handled in the order of slice numbers.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from hrfs.core.decisions import Decision, StartSlice
from hrfs.core.events import SliceDone, TrialAdded, WorkerJoined
from hrfs.core.policy import Policy
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.experiment.records import SliceRecord
from hrfs.simulator.spec import Workload


def simulate(workload: Workload, policy: Policy) -> list[SliceRecord]:
    """Run ``workload`` to its end under ``policy``; records in the order of slice numbers.

    Raises:
        RuntimeError: trials are left and nothing runs, which no policy may bring about.
    """
    settings = Settings(workload.stop_iteration, workload.interval)
    return _Clock(workload, Scheduler(settings, policy)).run()


class _Clock:
    """Virtual time and the slices that end in it."""

    def __init__(self, workload: Workload, scheduler: Scheduler) -> None:
        self._workload = workload
        self._scheduler = scheduler
        self._workers = {worker.name: worker for worker in workload.workers}
        self._ends: list[tuple[float, int]] = []
        self._under_way: dict[int, tuple[StartSlice, float, float]] = {}
        self._last_worker: dict[int, str] = {}

    def run(self) -> list[SliceRecord]:
        """Feed the core until the last slice has ended."""
        for trial in range(self._workload.trials):
            self._start(0.0, self._scheduler.handle(TrialAdded(0.0, trial, {})))
        for worker in self._workload.workers:
            self._start(0.0, self._scheduler.handle(WorkerJoined(0.0, worker.name, "simulated")))
        records = []
        while self._ends:
            now_s, number = heapq.heappop(self._ends)
            start, start_s, duration_s = self._under_way.pop(number)
            records.append(_record(start, start_s, now_s))
            self._last_worker[start.trial] = start.worker
            self._start(now_s, self._scheduler.handle(SliceDone(now_s, number, duration_s)))
        if not self._scheduler.finished:
            raise RuntimeError("trials are left but no slice is under way")
        return sorted(records, key=lambda record: record.slice)

    def _start(self, now_s: float, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, StartSlice):
                duration_s = self._duration_s(decision)
                self._under_way[decision.slice] = (decision, now_s, duration_s)
                heapq.heappush(self._ends, (now_s + duration_s, decision.slice))

    def _duration_s(self, start: StartSlice) -> float:
        worker = self._workers[start.worker]
        factors = self._workload.duration_factors
        factor = factors[start.slice % len(factors)]
        duration_s = (
            worker.slice_overhead_s + start.iterations * worker.seconds_per_iteration * factor
        )
        if self._last_worker.get(start.trial, start.worker) != start.worker:
            duration_s += self._workload.migration_s
        return duration_s


def _record(start: StartSlice, start_s: float, end_s: float) -> SliceRecord:
    return SliceRecord(
        slice=start.slice,
        trial=start.trial,
        worker=start.worker,
        start_s=start_s,
        end_s=end_s,
        from_iteration=start.from_iteration,
        to_iteration=start.from_iteration + start.iterations,
        worker_kind="simulated",
        reason=start.reason,
    )
