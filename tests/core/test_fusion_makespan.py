"""How soon the policy ``hrfs`` is done, held against other rules and against the optimum."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hrfs.core.baselines import FastestOnlyPolicy
from hrfs.core.bound import level_bound
from hrfs.core.fusion import FusionPolicy
from hrfs.core.paper import PaperPolicy
from hrfs.core.policy import Policy
from hrfs.simulator.bound import clairvoyant_bound_s
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import SimulatedWorker, Workload

GOLDEN = Path(__file__).parents[1] / "golden"
SPECS = sorted(path.stem for path in GOLDEN.glob("*.json"))


def _makespan_s(workload: Workload, policy: Policy | None = None) -> float:
    return max(record.end_s for record in simulate(workload, policy or FusionPolicy()))


def _cluster(trials: int, speeds: list[float], stop: int = 1000, interval: int = 50) -> Workload:
    """Workers of so many iterations per second, without noise."""
    workers = tuple(SimulatedWorker(f"w{i:02d}", 1 / s) for i, s in enumerate(speeds))
    return Workload(trials, stop, interval, workers)


@pytest.mark.parametrize("name", SPECS)
def test_no_golden_spec_takes_longer_than_by_hand_or_by_the_papers_rule(name: str) -> None:
    workload = Workload.read(GOLDEN / f"{name}.json")
    others_s = [_makespan_s(workload, rule) for rule in (PaperPolicy(), FastestOnlyPolicy())]
    assert _makespan_s(workload) <= min(others_s) * (1 + 1e-9)


def test_one_fast_worker_with_as_many_slow_ones_as_trials() -> None:
    workload = Workload.read(GOLDEN / "one_gpu_twenty_slow_cpus.json")
    assert _makespan_s(workload) <= 1.12 * clairvoyant_bound_s(workload)


def test_alone_a_worker_is_never_idle() -> None:
    assert _makespan_s(_cluster(7, [2.0])) == pytest.approx(7 * 1000 / 2.0)


@pytest.mark.parametrize("trials", [4, 8, 12])
def test_equal_workers_that_share_the_trials_evenly_are_all_used_to_the_end(trials: int) -> None:
    workload = _cluster(trials, [1.0] * 4)
    assert _makespan_s(workload) == pytest.approx(clairvoyant_bound_s(workload))


@pytest.mark.parametrize("interval", [1, 7, 1000])
def test_any_interval_will_do(interval: int) -> None:
    workload = _cluster(6, [10.0, 4.0, 1.0], stop=1000, interval=interval)
    assert _makespan_s(workload) <= 1.02 * clairvoyant_bound_s(workload)


@pytest.mark.parametrize("speeds", [[9.0, 8.0, 7.0, 3.0, 2.0, 1.0, 0.5], [10.0, *[1.0] * 20]])
def test_more_workers_than_trials(speeds: list[float]) -> None:
    """Slow workers neither hold what the fast ones need, nor are they all sent away."""
    workload = _cluster(3, speeds)
    soonest_s = _makespan_s(workload)
    assert soonest_s <= 1.13 * clairvoyant_bound_s(workload)
    assert soonest_s <= 0.9 * _makespan_s(workload, FastestOnlyPolicy())


def test_a_kind_whose_members_are_fifty_times_unlike() -> None:
    """What a newcomer's kind promises is not believed before it is measured."""
    speeds = [50.0, 50.0, 1.0, 1.0, 1.0, 1.0]
    plain = _cluster(8, speeds)
    workers = [
        replace(worker, kind="gpu", joins_at_s=10.0 * (number >= 2))
        for number, worker in enumerate(plain.workers)
    ]
    workload = replace(plain, workers=tuple(workers))
    records = simulate(workload, FusionPolicy())
    first = {}
    for record in sorted(records, key=lambda r: r.slice):
        first.setdefault(record.worker, record)
    assert all(record.iterations == 1 for record in first.values())
    assert max(r.end_s for r in records) <= 1.03 * clairvoyant_bound_s(workload)


def _random_cluster(seed: int) -> tuple[int, list[float], float, int]:
    """Trials, speeds of the workers, that of one more, and where it comes among them."""
    rng = np.random.default_rng((77, seed))
    trials, workers = int(rng.integers(8, 33)), int(rng.integers(2, 25))
    speeds = np.exp(rng.uniform(0.0, math.log(100.0), workers)).tolist()
    extra = math.exp(rng.uniform(math.log(0.5), math.log(100.0)))
    return trials, speeds, extra, int(rng.integers(0, workers + 1))


def _gain(seed: int) -> float:
    """Makespan with one worker more, by that without."""
    trials, speeds, extra, place = _random_cluster(seed)
    more = [*speeds[:place], extra, *speeds[place:]]
    return _makespan_s(_cluster(trials, more)) / _makespan_s(_cluster(trials, speeds))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 60, 10))
def test_one_more_worker_never_costs_more_than_a_hundredth(first: int) -> None:
    gains = {seed: _gain(seed) for seed in range(first, first + 10)}
    assert {seed: gain for seed, gain in gains.items() if gain > 1.01} == {}


@pytest.mark.parametrize("seed", [8, 50, 81, 95, 115, 119, 189])
def test_one_more_worker_where_it_costs_most(seed: int) -> None:
    """Of many clusters tried, those on which a slow worker more was the least help."""
    assert _gain(seed) <= 1.01


@pytest.mark.parametrize("seed", range(6))
def test_near_the_optimum_on_clusters_drawn_at_random(seed: int) -> None:
    trials, speeds, _, _ = _random_cluster(seed)
    bound_s = level_bound([1000.0] * trials, speeds)
    assert bound_s * (1 - 1e-9) <= _makespan_s(_cluster(trials, speeds)) <= 1.05 * bound_s
