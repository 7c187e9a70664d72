"""Keeps what happens during a simulated run, cheaply, and makes records of it at the end."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from hrfs.core.decisions import Exploit, StartSlice
from hrfs.experiment.records import ExploitRecord, FailureRecord, SliceRecord
from hrfs.simulator.durations import Duration
from hrfs.simulator.result import Simulation


class UnderWay(NamedTuple):
    """A slice that has begun, and what will become of it if its worker stays."""

    start: StartSlice
    start_s: float
    duration: Duration
    fails: bool


class History:
    """What has happened so far."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self._kinds = kinds
        self._finished: list[tuple[UnderWay, float, float | None]] = []
        self._exploits: list[ExploitRecord] = []
        self._failures: list[FailureRecord] = []
        self._lost_s: defaultdict[str, float] = defaultdict(float)
        self._begin_s = 0.0

    def begin(self, time_s: float) -> None:
        """The run's first slice begins."""
        self._begin_s = time_s

    def finish(self, ended: UnderWay, end_s: float, score: float | None) -> None:
        """A slice ended well."""
        self._finished.append((ended, end_s, score))

    def lose(self, ended: UnderWay, end_s: float, reason: str) -> None:
        """A slice ended with nothing."""
        start = ended.start
        self._lost_s[start.worker] += end_s - ended.start_s
        self._failures.append(FailureRecord(end_s, start.slice, start.trial, start.worker, reason))

    def exploit(self, exploit: Exploit, time_s: float) -> None:
        """A trial took over another."""
        self._exploits.append(ExploitRecord.of(exploit, time_s))

    def close(self, end_s: float, retired: tuple[str, ...]) -> Simulation:
        """All of it, as records."""
        self._finished.sort(key=lambda finished: finished[0].start.slice)
        return Simulation(
            records=[self._record(*finished) for finished in self._finished],
            exploits=self._exploits,
            failures=self._failures,
            lost_s=dict(self._lost_s),
            retired=retired,
            begin_s=self._begin_s,
            end_s=end_s,
        )

    def _record(self, ended: UnderWay, end_s: float, score: float | None) -> SliceRecord:
        start, duration = ended.start, ended.duration
        return SliceRecord(
            slice=start.slice,
            trial=start.trial,
            worker=start.worker,
            start_s=ended.start_s,
            end_s=end_s,
            from_iteration=start.from_iteration,
            to_iteration=start.from_iteration + start.iterations,
            worker_kind=self._kinds[start.worker],
            score=score,
            reason=start.reason,
            parent=start.parent,
            load_s=duration.overhead_s,
            train_s=duration.train_s,
            hyperparameters=start.hyperparameters,
        )
