"""A cluster with planted speeds, for the tests of the estimator."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from hrfs.core.estimator import Estimate, SpeedEstimator

TRIALS = 8


@dataclass(frozen=True)
class Planted:
    """What is true of a worker."""

    seconds_per_iteration: float
    overhead_s: float = 0.0
    migration_s: float = 0.0
    kind: str = ""


@dataclass(frozen=True)
class Played:
    """A slice as it went."""

    worker: str
    trial: int
    iterations: int
    duration_s: float
    overhead_s: float
    moved: bool


@dataclass
class Cluster:
    """Draws slices of random trials on random workers."""

    workers: Mapping[str, Planted]
    noise: float
    seed: int
    iterations: tuple[int, int] = (5, 50)
    work: Callable[[int], float] = lambda trial: 1.0
    trials: int = TRIALS
    last_worker: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def play(self, slices: int) -> Iterator[Played]:
        """So many slices, one after the other."""
        names = sorted(self.workers)
        for _ in range(slices):
            worker, trial = self.rng.choice(names), self.rng.randrange(self.trials)
            true = self.workers[worker]
            moved = self.last_worker.get(trial, worker) != worker
            self.last_worker[trial] = worker
            iterations = self.rng.randint(*self.iterations)
            overhead_s = true.overhead_s + moved * true.migration_s
            compute_s = iterations * true.seconds_per_iteration * self.work(trial)
            compute_s *= math.exp(self.rng.gauss(0.0, self.noise))
            yield Played(worker, trial, iterations, overhead_s + compute_s, overhead_s, moved)

    def teach(
        self, estimator: SpeedEstimator, slices: int, measured: bool = True
    ) -> SpeedEstimator:
        """Let the estimator watch so many slices; ``measured``: it is told the overheads."""
        for name, true in self.workers.items():
            estimator.join(name, true.kind)
        for played in self.play(slices):
            watch(estimator, played, measured)
        return estimator


def watch(
    estimator: SpeedEstimator, played: Played, measured: bool = True, factor: float = 1.0
) -> None:
    """Tell the estimator of a slice, all its times multiplied by ``factor``."""
    estimator.observe(
        played.worker,
        played.trial,
        played.iterations,
        factor * played.duration_s,
        factor * played.overhead_s if measured else None,
        played.moved,
    )


def known(estimator: SpeedEstimator, worker: str) -> Estimate:
    """The worker's estimate, which there must be."""
    estimate = estimator.estimate(worker)
    assert estimate is not None
    return estimate


def one_worker(noise: float, seed: int, slices: int, measured: bool = True) -> SpeedEstimator:
    """An estimator that has watched a worker ``w`` of one second per iteration."""
    cluster = Cluster({"w": Planted(1.0, 3.0)}, noise, seed, (10, 50))
    return cluster.teach(SpeedEstimator(), slices, measured)
