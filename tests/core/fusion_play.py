"""Clusters for the tests of the policy ``hrfs``: drawn at random, or led event by event."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st

from hrfs.core.decisions import Decision, StartSlice
from hrfs.core.events import (
    Event,
    SliceDone,
    SliceFailed,
    TrialAdded,
    WorkerJoined,
    WorkerLeft,
)
from hrfs.core.fusion import FusionPolicy
from hrfs.core.invariants import check
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.simulator.spec import SimulatedWorker, Workload

SECONDS = st.one_of(st.sampled_from([1.0, 2.0, 100.0]), st.floats(0.01, 100.0))
MOMENTS = st.floats(0.0, 500.0)


@st.composite
def workers(draw: st.DrawFn, name: str, stays: bool) -> SimulatedWorker:
    """A worker that may come late, drift and fail, and leave unless it ``stays``."""
    joins_s = draw(st.one_of(st.just(0.0), MOMENTS))
    leaves_s = None if stays else draw(st.one_of(st.none(), MOMENTS))
    changes = draw(st.lists(st.tuples(MOMENTS, st.floats(0.2, 5.0)), max_size=2))
    return SimulatedWorker(
        name=name,
        seconds_per_iteration=draw(SECONDS),
        slice_overhead_s=draw(st.sampled_from([0.0, 0.0, 0.5, 20.0])),
        kind=draw(st.sampled_from(["", "cpu", "gpu"])),
        joins_at_s=joins_s,
        leaves_at_s=None if leaves_s is None else joins_s + leaves_s + 0.1,
        fails_probability=draw(st.sampled_from([0.0, 0.0, 0.2])),
        speed_changes=tuple(sorted(dict(changes).items())),
    )


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """1 to 8 trials on 1 to 5 workers, the first of which stays."""
    stop = draw(st.integers(1, 60))
    return Workload(
        trials=draw(st.integers(1, 8)),
        stop_iteration=stop,
        interval=draw(st.one_of(st.integers(1, stop), st.sampled_from([1, stop]))),
        workers=tuple(draw(workers(f"w{i}", stays=i == 0)) for i in range(draw(st.integers(1, 5)))),
        migration_s=draw(st.sampled_from([0.0, 0.0, 3.0])),
        noise_sigma=draw(st.sampled_from([0.0, 0.1])),
        seed=draw(st.integers(0, 9)),
    )


@dataclass
class Bench:
    """One core in virtual time, whose workers come and go at the test's word."""

    trials: int
    stop: int
    interval: int
    seconds: Mapping[str, float]
    """Per iteration of each worker, whether it is there yet or not."""
    kind: str = ""
    max_staleness: int | None = None
    now_s: float = 0.0
    told: list[tuple[Event, list[Decision]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.due: list[tuple[float, int, StartSlice]] = []
        self.scheduler = Scheduler(self.settings, FusionPolicy())
        for trial in range(self.trials):
            self.add(trial)

    @property
    def settings(self) -> Settings:
        return Settings(self.stop, self.interval, max_staleness_iterations=self.max_staleness)

    @property
    def starts(self) -> list[StartSlice]:
        return [d for _, decisions in self.told for d in decisions if isinstance(d, StartSlice)]

    def send(self, event: Event) -> list[Decision]:
        decisions = self.scheduler.handle(event)
        check(self.scheduler)
        self.told.append((event, decisions))
        for start in decisions:
            if isinstance(start, StartSlice):
                end_s = self.now_s + start.iterations * self.seconds[start.worker]
                heapq.heappush(self.due, (end_s, start.slice, start))
        return decisions

    def add(self, trial: int) -> list[Decision]:
        return self.send(TrialAdded(self.now_s, trial, {}))

    def join(self, *names: str) -> list[Decision]:
        return [d for n in names for d in self.send(WorkerJoined(self.now_s, n, self.kind))]

    def leave(self, *names: str) -> list[Decision]:
        """They leave, one after the other; what is under way on them is lost."""
        decisions = []
        for name in names:
            self.due = [entry for entry in self.due if entry[2].worker != name]
            heapq.heapify(self.due)
            decisions += self.send(WorkerLeft(self.now_s, name, "unplugged"))
        return decisions

    def step(self, fails: bool = False) -> list[Decision]:
        """The slice that ends next ends."""
        self.now_s, number, start = heapq.heappop(self.due)
        if fails:
            return self.send(SliceFailed(self.now_s, number, "out of memory"))
        lasted_s = start.iterations * self.seconds[start.worker]
        return self.send(SliceDone(self.now_s, number, lasted_s, 0.5, f"state-{number}"))

    def run(self) -> None:
        """To the end."""
        while not self.scheduler.finished:
            self.step()

    def seconds_known(self, worker: str) -> float:
        """Per iteration, as far as the core knows."""
        estimate = self.scheduler.snapshot(self.now_s).speeds.estimate(worker)
        assert estimate is not None
        return estimate.seconds_per_iteration
