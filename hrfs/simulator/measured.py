"""What the slices of a real run say of its workers, trials and hand-overs.

A slice that took ``duration_s`` is split as in :class:`hrfs.simulator.spec.Workload`: overhead of
its worker, iterations, and the move of its weights. All figures are medians or as good as that,
so a stall changes none of them; what single slices took beyond is kept as their noise, so that it
is not lost either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from hrfs.experiment.records import SliceRecord

ROUNDS = 20
"""Rounds in which outliers lose their weight."""
HUBER = 1.5
"""What lies further away, in standard deviations, is an outlier."""
LEAST_SLICES_PER_TRIAL = 4
"""With fewer slices than this on average, trials could seem to differ that do not."""
LEAST_DIFFERENCE = 1.05
"""Trials have factors of their own if some trial differs from the median by more than this."""
ERRORS = 4.0
"""And by more than so many standard errors."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A finished slice. ``moved``: its weights came from another worker."""

    record: SliceRecord
    moved: bool

    @property
    def seconds_per_iteration(self) -> float:
        """Of training alone."""
        return self.record.train_s / self.record.iterations

    @property
    def rest_s(self) -> float:
        """Seconds of the slice that were not training."""
        return max(0.0, self.record.duration_s - self.record.train_s)


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of a run."""

    seconds_per_iteration: Mapping[str, float]
    """By worker."""
    overhead_s: Mapping[str, float]
    """By worker; the driver's own time between two slices is part of it."""
    migration_s: float
    trial_factors: Mapping[int, float]
    """How many times as long an iteration of a trial takes; empty if trials do not differ."""
    noise: Mapping[int, float]
    """By slice: its iterations took so many times as long as by the medians. A worker's first
    slice, which warms it up, and very short ones are left out."""

    def train_s(self, record: SliceRecord) -> float:
        """What the slice's iterations should have taken."""
        factor = self.trial_factors.get(record.trial, 1.0)
        return record.iterations * self.seconds_per_iteration[record.worker] * factor


def measure(records: Sequence[SliceRecord]) -> Measured:
    """Take the medians of slices that say how long training took (``train_s`` above 0).

    Args:
        records: at least one, in the order of their starts.
    """
    samples = _samples(records)
    usual = {worker: _usual(mine) for worker, mine in _by_worker(samples).items()}
    pool = [sample for mine in usual.values() for sample in mine]
    speeds, factors = _speeds(pool)
    between_s = _between_slices_s(records)
    migration_s = _migration_s(usual)
    overhead_s = {
        worker: max(0.0, between_s + median(s.rest_s - migration_s * s.moved for s in mine))
        for worker, mine in usual.items()
    }
    measured = Measured(speeds, overhead_s, migration_s, factors, {})
    firsts = {mine[0].record.slice for mine in _by_worker(samples).values()}
    noise = {
        sample.record.slice: _noise(sample, measured, between_s)
        for sample in pool
        if sample.record.slice not in firsts
    }
    return replace(measured, noise=noise)


def _samples(records: Sequence[SliceRecord]) -> list[Sample]:
    """The records, and whether each trial's weights were elsewhere when its slice began."""
    ended = iter(sorted(records, key=lambda record: record.end_s))
    coming = next(ended, None)
    weights_on: dict[int, str] = {}
    samples = []
    for record in records:
        while coming is not None and coming.end_s <= record.start_s:
            weights_on[coming.trial] = coming.worker
            coming = next(ended, None)
        source = record.trial if record.parent is None else record.parent
        moved = weights_on.get(source, record.worker) != record.worker
        samples.append(Sample(record, moved))
    return samples


def _by_worker(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.record.worker, []).append(sample)
    return found


def _usual(samples: list[Sample]) -> list[Sample]:
    """Slices of one worker without its first, which warms it up, and without very short ones."""
    later = samples[1:] or samples
    half = median(sample.record.iterations for sample in later) / 2
    return [sample for sample in later if sample.record.iterations >= half]


def _migration_s(usual: Mapping[str, Sequence[Sample]]) -> float:
    """By how much a slice whose weights came from elsewhere costs more than one on the same worker
    whose weights were there; where no worker had both, the seconds that loading took.
    """
    differences_s = []
    for mine in usual.values():
        home_s = [sample.rest_s for sample in mine if not sample.moved]
        if home_s:
            differences_s += [s.rest_s - median(home_s) for s in mine if s.moved]
    loads_s = [s.record.load_s for mine in usual.values() for s in mine if s.moved]
    return max(0.0, median(differences_s or loads_s or [0.0]))


def _between_slices_s(records: Sequence[SliceRecord]) -> float:
    """Seconds from the end of a slice to the start of its worker's next: the driver's.

    A worker that waits for a trial waits longer, hence the median over all workers.
    """
    workers: dict[str, list[SliceRecord]] = {}
    for record in records:
        workers.setdefault(record.worker, []).append(record)
    gaps_s = [b.start_s - a.end_s for mine in workers.values() for a, b in pairwise(mine)]
    return max(0.0, median(gaps_s)) if gaps_s else 0.0


def _speeds(samples: Sequence[Sample]) -> tuple[dict[str, float], dict[int, float]]:
    """Seconds per iteration of the workers, and factors of the trials if those differ."""
    logs = np.log([sample.seconds_per_iteration for sample in samples])
    workers, row = np.unique([sample.record.worker for sample in samples], return_inverse=True)
    trials, column = np.unique([sample.record.trial for sample in samples], return_inverse=True)
    base = np.array([np.median(logs[row == i]) for i in range(len(workers))])
    factors: dict[int, float] = {}
    if len(samples) >= LEAST_SLICES_PER_TRIAL * len(trials):
        of_worker, effects = _two_way(logs, row, column)
        left = logs - of_worker[row] - effects[column]
        error = _scale(left) / np.sqrt(np.bincount(column))
        if np.any(np.abs(effects) > np.maximum(ERRORS * error, np.log(LEAST_DIFFERENCE))):
            base = of_worker
            factors = dict(zip(trials.tolist(), np.exp(effects).tolist(), strict=True))
    return dict(zip(workers.tolist(), np.exp(base).tolist(), strict=True)), factors


def _two_way(
    logs: NDArray[np.float64], row: NDArray[np.intp], column: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit ``logs = a[row] + b[column]``, the median of b being 0, in spite of outliers.

    Least squares, weighted anew in every round: what lies beyond HUBER standard deviations
    weighs less in proportion (Huber 1964).

    Returns:
        ``a``, shape (workers,), and ``b``, shape (trials,).
    """
    a = np.array([np.median(logs[row == i]) for i in range(row.max() + 1)])
    b = np.zeros(column.max() + 1)
    for _ in range(ROUNDS):
        left = np.abs(logs - a[row] - b[column])
        far = HUBER * _scale(left) + np.finfo(float).tiny
        weights = far / np.maximum(left, far)
        pairs = np.zeros((a.size, b.size))
        np.add.at(pairs, (row, column), weights)
        trials = pairs.sum(axis=0)
        sums = np.bincount(column, weights * logs)
        # The normal equations without b, of which each trial has its own: few workers are left.
        equations = np.diag(pairs.sum(axis=1)) - (pairs / trials) @ pairs.T
        right = np.bincount(row, weights * logs) - (pairs / trials) @ sums
        a = np.linalg.lstsq(equations, right, rcond=None)[0]
        b = (sums - pairs.T @ a) / trials
    middle = np.median(b)
    return a + middle, b - middle


def _scale(left: NDArray[np.float64]) -> float:
    """A standard deviation, from the median of absolute deviations of normal numbers."""
    return float(1.4826 * np.median(np.abs(left)))


def _noise(sample: Sample, measured: Measured, between_s: float) -> float:
    """Factor on a slice's iterations with which it takes as long as it took.

    Overhead that was less than usual makes it at most halve what training itself took.
    """
    record = sample.record
    usual_s = measured.overhead_s[record.worker] + measured.migration_s * sample.moved
    left_s = record.duration_s + between_s - usual_s
    return max(left_s, record.train_s / 2) / measured.train_s(record)
