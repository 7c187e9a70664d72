"""What scheduling costs by the size of the run.

    python -m benchmarks.scale                    # the large run, and the table
    python -m benchmarks.scale --table --trials 10 100 1000
    python -m benchmarks.scale --run --policy hrfs_paper

The large run is simulated whole (driver, core, policy, records). The table feeds the core by a
bare event loop and takes apart what the core costs per slice and what the policy costs per
decision. Workers: one per ten trials, 1 to 100 times as slow as the fastest, log-uniformly; half
of the kind ``gpu``, half ``cpu``. Seconds are those of the processor in this process, so that
other programs on the machine count little.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.conditions import conditions
from hrfs.core.baselines import RayPbtPolicy
from hrfs.core.decisions import StartSlice
from hrfs.core.events import Event, SliceDone, TrialAdded, WorkerJoined
from hrfs.core.policies import POLICIES
from hrfs.core.policy import Choice, Policy, Snapshot
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.core.state import Worker
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import SimulatedWorker, Workload

COLUMNS = ("trials", "workers", "policy", "slices", "core", "policy's", "decisions")
INTERVAL = 50
SPACE = {"lr": Hyperparameter(Uniform(0.001, 1.0), Uniform(0.0001, 1.0))}
DISTINCT: Mapping[str, Callable[[], Policy]] = {
    name: make for make, name in {make: name for name, make in POLICIES.items()}.items()
} | {"ray_pbt": lambda: RayPbtPolicy("cpu")}
"""Every rule once: two names may mean one."""


def workload(trials: int, rounds: int, seed: int = 0) -> Workload:
    """``trials`` of ``rounds`` intervals each on a tenth as many workers."""
    rng = random.Random(seed)
    workers = tuple(
        SimulatedWorker(f"w{i:04d}", math.exp(rng.uniform(math.log(0.01), 0)), kind=kind)
        for i, kind in zip(range(max(1, trials // 10)), ["cpu", "gpu"] * trials, strict=False)
    )
    return Workload(trials, rounds * INTERVAL, INTERVAL, workers)


class Timed(Policy):
    """A policy, and the seconds that it took."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.seconds = 0.0
        self.decisions = 0

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """The policy's choice."""
        begin_s = time.process_time()
        choice = self._policy.choose(snapshot, worker)
        self.seconds += time.process_time() - begin_s
        self.decisions += 1
        return choice

    def order(self, snapshot: Snapshot, free: Sequence[str]) -> Sequence[str]:
        """The policy's order; its time counts as that of the decisions that follow."""
        begin_s = time.process_time()
        order = self._policy.order(snapshot, free)
        self.seconds += time.process_time() - begin_s
        return order

    def recall(self, snapshot: Snapshot, worker: Worker) -> str | None:
        """The policy's answer."""
        begin_s = time.process_time()
        reason = self._policy.recall(snapshot, worker)
        self.seconds += time.process_time() - begin_s
        return reason


@dataclass(frozen=True)
class Cost:
    """Of one run through the bare core."""

    slices: int
    decisions: int
    core_us_per_slice: float
    policy_us_per_decision: float


def cost(load: Workload, policy: Policy) -> Cost:
    """Play ``load`` with scores and checkpoints, as population-based training has them."""
    timed = Timed(policy)
    settings = Settings(load.stop_iteration, load.interval, search_space=SPACE)
    core = _Bare(load, Scheduler(settings, timed))
    core.run()
    own_s = core.seconds - timed.seconds
    return Cost(
        core.slices,
        timed.decisions,
        1e6 * own_s / core.slices,
        1e6 * timed.seconds / timed.decisions,
    )


class _Bare:
    """Nothing but the core and an event heap."""

    def __init__(self, load: Workload, scheduler: Scheduler) -> None:
        self._load = load
        self._scheduler = scheduler
        self._ends: list[tuple[float, int, float]] = []
        self._pace = {w.name: w.seconds_per_iteration for w in load.workers}
        self.seconds = 0.0
        self.slices = 0

    def run(self) -> None:
        for trial in range(self._load.trials):
            self._tell(TrialAdded(0.0, trial, {"lr": 0.1}))
        for worker in self._load.workers:
            self._tell(WorkerJoined(0.0, worker.name, worker.kind))
        scores = random.Random(0)
        while self._ends:
            now_s, number, duration_s = heapq.heappop(self._ends)
            self._tell(SliceDone(now_s, number, duration_s, scores.random(), f"state-{number}"))
        if not self._scheduler.finished:
            raise RuntimeError("trials are left but no slice is under way")

    def _tell(self, event: Event) -> None:
        begin_s = time.process_time()
        decisions = self._scheduler.handle(event)
        self.seconds += time.process_time() - begin_s
        for start in decisions:
            if isinstance(start, StartSlice):
                duration_s = start.iterations * self._pace[start.worker]
                end = (event.time_s + duration_s, start.slice, duration_s)
                heapq.heappush(self._ends, end)
                self.slices += 1


def large_run(policy: str, trials: int, rounds: int) -> str:
    """Simulate it, and say what it took."""
    load = workload(trials, rounds)
    begin_s, begin_wall_s = time.process_time(), time.monotonic()
    slices = len(simulate(load, DISTINCT[policy]()))
    took_s, wall_s = time.process_time() - begin_s, time.monotonic() - begin_wall_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # KiB on Linux
    return (
        f"{policy}: {len(load.workers)} workers, {trials} trials, {slices} slices in "
        f"{took_s:.1f} s of one core ({wall_s:.1f} s by the clock), "
        f"{slices / took_s:.0f} slices/s, {peak:.0f} MiB at peak"
    )


def table(sizes: list[int], rounds: int, policies: list[str]) -> Table:
    """Of the core per slice, of the policy per decision; and decisions per slice."""
    made = Table(title="microseconds: core per slice, policy per decision; decisions per slice")
    for column in COLUMNS:
        made.add_column(column, justify="left" if column == "policy" else "right", no_wrap=True)
    for trials in sizes:
        for policy in policies:
            # As many slices in small runs as a clock needs; the warm-up of a run counts too.
            load = workload(trials, max(rounds, 4000 // trials))
            one = cost(load, DISTINCT[policy]())
            figures = (one.core_us_per_slice, one.policy_us_per_decision)
            told = (*(f"{us:.1f}" for us in figures), f"{one.decisions / one.slices:.2f}")
            made.add_row(str(trials), str(len(load.workers)), policy, str(one.slices), *told)
    return made


def main() -> None:
    """Print both, or the one that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="only the table")
    parser.add_argument("--run", action="store_true", help="only the large run")
    parser.add_argument("--policy", choices=DISTINCT, nargs="+", help="all, but one large run")
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 100, 1000, 10000])
    parser.add_argument("--rounds", type=int, default=10, help="intervals per trial in the table")
    options = parser.parse_args()
    console, told = Console(), conditions("numpy")
    if not options.table:
        for policy in options.policy or ["hrfs"]:
            console.print(large_run(policy, trials=10_000, rounds=40))
    if not options.run:
        console.print(table(options.trials, options.rounds, options.policy or list(DISTINCT)))
    console.print(told)


if __name__ == "__main__":
    main()
