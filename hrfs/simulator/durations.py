"""How long a slice takes: overhead, moving the weights, iterations at a pace that may change."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hrfs.core.decisions import StartSlice
from hrfs.experiment.errors import ConfigError
from hrfs.simulator.spec import SimulatedWorker, Workload
from hrfs.simulator.streams import Purpose, Stream

SHORTEST_S, LONGEST_S = 1e-12, 1e18
"""Of a slice: ratios of durations, and speeds, are to stay numbers."""


class Duration(NamedTuple):
    """Seconds for which a slice holds its worker, if nothing comes between."""

    total_s: float
    overhead_s: float
    """The part that is not training: the slice's overhead and the move of its weights."""
    train_s: float


class Durations:
    """Prices the slices of one workload; the formula is in :class:`Workload`."""

    def __init__(self, workload: Workload) -> None:
        self._workers = {worker.name: worker for worker in workload.workers}
        self._factor = _slice_factor(workload)
        self._trial_factors = {
            worker.kind: _trial_factors(workload, worker.kind) for worker in workload.workers
        }
        self._move_s = _move_seconds(workload)

    def of(self, start: StartSlice, now_s: float, weights_on: str) -> Duration:
        """Price a slice that begins at ``now_s`` with weights that are on ``weights_on``.

        Raises:
            ConfigError: the seconds are too many or too few to reckon with, or those of training
                are too few beside those of overhead.
        """
        worker = self._workers[start.worker]
        train_s = start.iterations * worker.seconds_per_iteration * self._factor(start.slice)
        factors = self._trial_factors[worker.kind]
        if factors is not None:
            train_s *= factors[start.trial]
        move_s = 0.0 if weights_on == start.worker else self._move_s(weights_on, start.worker)
        overhead_s = worker.slice_overhead_s
        if worker.speed_changes:
            train_s = stretched(worker.speed_changes, now_s + overhead_s + move_s, train_s)
        total_s = overhead_s + train_s + move_s
        if not SHORTEST_S <= total_s <= LONGEST_S:
            rule = f"a slice of it must last from {SHORTEST_S:g} to {LONGEST_S:g} s"
            raise ConfigError(f"workers.{worker.name}", f"{total_s} s", rule)
        if overhead_s + move_s >= total_s:  # the sum is rounded
            rule = f"so long an overhead leaves nothing of a slice's {train_s:g} s of training"
            raise ConfigError(f"workers.{worker.name}", f"{overhead_s + move_s:g} s", rule)
        return Duration(total_s, overhead_s + move_s, train_s)


def stretched(changes: Sequence[tuple[float, float]], begin_s: float, work_s: float) -> float:
    """Seconds that ``work_s`` seconds of work take from ``begin_s`` on.

    Args:
        changes: ``(at_s, factor)``, ascending: from ``at_s`` on, work takes ``factor`` times as
            long; 1 before the first.
    """
    now_s, factor = begin_s, 1.0
    for at_s, next_factor in changes:
        if at_s > now_s:
            if work_s * factor <= at_s - now_s:
                break
            work_s -= (at_s - now_s) / factor
            now_s = at_s
        factor = next_factor
    return now_s - begin_s + work_s * factor


def _slice_factor(workload: Workload) -> Callable[[int], float]:
    """The factor on the iterations of a slice, by its number."""
    if workload.noise_sigma:
        sigma, normal = workload.noise_sigma, Stream(workload.seed, Purpose.NOISE, "normal")
        return lambda number: math.exp(sigma * normal[number])
    factors, length = workload.duration_factors, len(workload.duration_factors)
    return lambda number: factors[number % length]


def _trial_factors(workload: Workload, kind: str) -> Sequence[float] | None:
    """The factor of each trial on workers of ``kind``; None if it is 1 for all."""
    given = [f for f in (workload.work_factor, workload.kind_factors.get(kind)) if f is not None]
    if not given:
        return None
    return [math.prod(both) for both in zip(*map(workload.by_trial, given), strict=True)]


def _move_seconds(workload: Workload) -> Callable[[str, str], float]:
    """Seconds to move a trial's weights from one worker to another."""
    if workload.checkpoint_bytes is None:
        migration_s = workload.migration_s
        return lambda _source, _target: migration_s
    size = workload.checkpoint_bytes
    own = {worker.name: _bandwidth(workload, worker) for worker in workload.workers}
    pairs = {frozenset(link.between): link.bytes_per_s for link in workload.links}

    def seconds(source: str, target: str) -> float:
        between = pairs.get(frozenset((source, target))) if pairs else None
        return size / (between or min(own[source], own[target]))

    return seconds


def _bandwidth(workload: Workload, worker: SimulatedWorker) -> float:
    """Bytes per second of the worker's link."""
    bandwidth = worker.link_bytes_per_s or workload.link_bytes_per_s
    if bandwidth is None:
        rule = "must be given where checkpoint_bytes is"
        raise ConfigError(f"workers.{worker.name}.link_bytes_per_s", "???", rule)
    return bandwidth
