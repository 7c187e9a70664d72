"""Three populations that share one pool of workers, against the three one after the other.

    python -m benchmarks.seeds                    # 50 clusters of each suite, and the demo's
    python -m benchmarks.seeds --suites design --clusters 10 --policies hrfs hrfs_paper static
    python -m benchmarks.seeds --noise 0.1        # slices that differ by chance

The figure is the makespan of the shared run over the sum of the makespans of the three single
runs, each of which has all workers to itself and measures them anew: below 1, sharing is
faster. By default slices take exactly what their worker's speed says, so that no difference is
chance. Idle is the share of the workers' time, first start to last end, in which no slice held
them. All is drawn from the seeds, so the same command prints the same figures on any machine.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.conditions import conditions
from benchmarks.scheduling.suites import SUITES
from hrfs.core.policies import POLICIES, make_policy
from hrfs.reporting.figures import busy_seconds
from hrfs.simulator.driver import play
from hrfs.simulator.spec import SimulatedWorker, Workload

DEMO = "demo"
SEEDS = (0, 1, 2)
SAME = 1e-9
"""Makespans that differ by less than this share differ by rounding."""


def demo(seed: int) -> Workload:
    """Like ``python -m hrfs``: 8 trials on the workers of ``conf/cluster/emulated.yaml``."""
    slowness = {"gpu-0": 1.0, "cpu-0": 2.0, "cpu-1": 3.0, "cpu-2": 4.0}
    workers = tuple(
        SimulatedWorker(name, 0.02 * factor, 0.1, name.partition("-")[0])
        for name, factor in slowness.items()
    )
    return Workload(8, 240, 20, workers, migration_s=0.05, seed=seed)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One policy on one cluster. Idle seconds are those of all workers together."""

    shared_s: float
    one_by_one_s: float
    shared_idle: float
    """Share of the workers' time."""
    one_by_one_idle: float

    @property
    def ratio(self) -> float:
        """Makespan of the shared run over the sum of the single ones'."""
        return self.shared_s / self.one_by_one_s


def compare(workload: Workload, policy: str, seeds: Sequence[int] = SEEDS) -> Comparison:
    """Simulate the populations of ``seeds`` together, and each by itself."""
    shared_s, shared_busy_s = _cost(replace(workload, seeds=tuple(seeds)), policy)
    singles = [_cost(replace(workload, seed=workload.seed + 1 + s), policy) for s in seeds]
    one_by_one_s, busy_s = (math.fsum(part) for part in zip(*singles, strict=True))
    workers = len(workload.workers)
    return Comparison(
        shared_s=shared_s,
        one_by_one_s=one_by_one_s,
        shared_idle=1 - shared_busy_s / (shared_s * workers),
        one_by_one_idle=1 - busy_s / (one_by_one_s * workers),
    )


def _cost(workload: Workload, policy: str) -> tuple[float, float]:
    """Makespan, and the seconds for which slices held workers."""
    run = play(workload, make_policy(policy))
    return run.makespan_s, math.fsum(busy_seconds(run.records).values())


def workload_of(suite: str, cluster: int, noise: float) -> Workload:
    """A cluster of a suite; ``noise`` is the standard deviation of the log of a slice's seconds."""
    make: Mapping[str, Callable[[int], Workload]] = {**SUITES, DEMO: demo}
    return replace(make[suite](cluster), noise_sigma=noise)


def table(found: Mapping[tuple[str, str], Sequence[Comparison]]) -> Table:
    """One row per suite and policy."""
    made = Table(title=f"{len(SEEDS)} populations: shared / one after the other")
    for column in ("suite", "policy"):
        made.add_column(column, no_wrap=True)
    for column in ("clusters", "median", "best", "worst", "longer", "idle", "idle one by one"):
        made.add_column(column, justify="right")
    for (suite, policy), comparisons in found.items():
        ratios = [comparison.ratio for comparison in comparisons]
        longer = sum(ratio > 1 + SAME for ratio in ratios)
        idle = statistics.fmean(comparison.shared_idle for comparison in comparisons)
        before = statistics.fmean(comparison.one_by_one_idle for comparison in comparisons)
        made.add_row(
            suite,
            policy,
            str(len(ratios)),
            *(f"{value:.4f}" for value in (statistics.median(ratios), min(ratios), max(ratios))),
            f"{longer / len(ratios):.0%}",
            f"{idle:.1%}",
            f"{before:.1%}",
        )
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.seeds", description=(__doc__ or "").splitlines()[0]
    )
    suites, defaults = [*SUITES, DEMO], ["design", "slow_many", DEMO]
    parser.add_argument("--suites", nargs="+", choices=suites, default=defaults)
    parser.add_argument(
        "--policies", nargs="+", choices=list(POLICIES), default=["hrfs", "hrfs_paper"]
    )
    parser.add_argument("--clusters", type=int, default=50, help="of each suite but the demo's")
    parser.add_argument("--noise", type=float, default=0.0, help="of a slice's seconds")
    options = parser.parse_args(arguments)
    if options.clusters < 1 or not 0 <= options.noise < math.inf:
        parser.error("there must be at least one cluster, and noise must be at least 0")
    console, told, began_s = Console(), conditions("numpy"), time.monotonic()
    todo = [
        (suite, policy, cluster)
        for suite in options.suites
        for policy in options.policies
        for cluster in range(1 if suite == DEMO else options.clusters)
    ]
    found: dict[tuple[str, str], list[Comparison]] = {}
    for suite, policy, cluster in track(
        todo, "simulating", console=console, disable=not console.is_terminal
    ):
        workload = workload_of(suite, cluster, options.noise)
        found.setdefault((suite, policy), []).append(compare(workload, policy))
    console.print(table(found))
    console.print(f"noise {options.noise:g}; {time.monotonic() - began_s:.0f} s; {told}")


if __name__ == "__main__":
    main()
