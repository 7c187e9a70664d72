"""The suites: families of specs, each a function of a seed alone.

Clusters of one seed are the same in all suites that vary the first one, so that their figures
can be compared cluster by cluster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hrfs.simulator.bound import clairvoyant_bound_s
from hrfs.simulator.spec import SimulatedWorker, Workload

GOLDEN_FOLDER = Path(__file__).parents[2] / "tests" / "golden"

NOISE_SIGMA = 0.1
"""Standard deviation of the logarithm of a slice's seconds."""
DRIFT_STEPS = 20


def design(seed: int) -> Workload:
    """3 to 24 workers of 1 to 100 iterations per second, 20 trials, 1000 iterations, K 50."""
    rng = _generator("design", seed)
    speeds = np.exp(rng.uniform(0.0, math.log(100.0), rng.integers(3, 25)))
    workers = [SimulatedWorker(f"w{i:02d}", 1 / speed) for i, speed in enumerate(speeds)]
    return Workload(
        trials=20,
        stop_iteration=1000,
        interval=50,
        workers=tuple(workers),
        noise_sigma=NOISE_SIGMA,
        seed=seed,
    )


def slow_many(seed: int) -> Workload:
    """8 to 32 trials on up to 40 workers of two or three generations, most of them slow.

    The second generation is 2 to 8 times slower than the first, the last one 10 to 100 times;
    workers of one generation differ by about 10 %.
    """
    rng = _generator("slow_many", seed)
    newest, older, slowest = rng.integers(1, 4), rng.integers(0, 7), rng.integers(8, 31)
    slowness = {
        "gpu:new": [1.0] * newest,
        "gpu:old": [math.exp(rng.uniform(math.log(2), math.log(8)))] * older,
        "cpu": [math.exp(rng.uniform(math.log(10), math.log(100)))] * slowest,
    }
    fastest_s = 1 / math.exp(rng.uniform(math.log(10), math.log(100)))
    workers = [
        SimulatedWorker(
            name=f"{kind}-{i:02d}",
            seconds_per_iteration=fastest_s * factor * math.exp(0.1 * rng.standard_normal()),
            kind=kind,
        )
        for kind, factors in slowness.items()
        for i, factor in enumerate(factors)
    ]
    order = rng.permutation(len(workers))
    return replace(
        design(seed),
        trials=int(rng.integers(8, 33)),
        workers=tuple(workers[i] for i in order),
    )


def overheads(seed: int) -> Workload:
    """``design`` with an overhead per slice, and as much again for a slice whose trial moved.

    Each is 2 % of a full slice of the fastest worker, on every worker.
    """
    plain = design(seed)
    fastest_s = min(worker.seconds_per_iteration for worker in plain.workers)
    overhead_s = 0.02 * plain.interval * fastest_s
    workers = [replace(worker, slice_overhead_s=overhead_s) for worker in plain.workers]
    return replace(plain, workers=tuple(workers), migration_s=overhead_s)


def drift(seed: int) -> Workload:
    """``design`` with workers that become twice as fast or twice as slow while it runs.

    Evenly in the logarithm, by 20 steps over the C* of the cluster as it begins.
    """
    plain, rng = design(seed), _generator("drift", seed)
    span_s = clairvoyant_bound_s(plain)
    workers = []
    for worker in plain.workers:
        exponent = rng.choice([-1.0, 1.0])
        changes = tuple(
            (float(span_s * i / DRIFT_STEPS), float(2 ** (exponent * i / DRIFT_STEPS)))
            for i in range(1, DRIFT_STEPS + 1)
        )
        workers.append(replace(worker, speed_changes=changes))
    return replace(plain, workers=tuple(workers))


def elastic(seed: int) -> Workload:
    """``design`` with workers that come late or leave early, 30 % each; one of them stays.

    They join in the first 60 % of the C* of the cluster with all workers, and leave in the last
    70 %, later than they came.
    """
    plain, rng = design(seed), _generator("elastic", seed)
    span_s = clairvoyant_bound_s(plain)
    stays = rng.integers(len(plain.workers))
    workers = []
    for i, worker in enumerate(plain.workers):
        joins, leaves = rng.random(2) < 0.3
        joins_s, leaves_s = rng.uniform(0.0, 0.6) * span_s, rng.uniform(0.3, 1.0) * span_s
        if joins and i != stays:
            worker = replace(worker, joins_at_s=joins_s)
        if leaves and i != stays and leaves_s > worker.joins_at_s:
            worker = replace(worker, leaves_at_s=leaves_s)
        workers.append(worker)
    return replace(plain, workers=tuple(workers))


def failures(seed: int) -> Workload:
    """``design`` with 5 % of the slices failing, at a random moment of their duration."""
    plain = design(seed)
    workers = [replace(worker, fails_probability=0.05) for worker in plain.workers]
    return replace(plain, workers=tuple(workers))


SUITES: Mapping[str, Callable[[int], Workload]] = {
    suite.__name__: suite for suite in (design, slow_many, overheads, drift, elastic, failures)
}


def golden() -> dict[str, Workload]:
    """The specs of the recorded schedules, by name: no seed, their noise is in the files."""
    return {path.stem: Workload.read(path) for path in sorted(GOLDEN_FOLDER.glob("*.json"))}


def _generator(suite: str, seed: int) -> np.random.Generator:
    return np.random.default_rng((*suite.encode(), seed))
