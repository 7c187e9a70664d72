"""C*: the least makespan of a population on a cluster, by the method that fits the cluster.

====================================  =====================================================
workers and trials                    method
====================================  =====================================================
speeds that differ by worker          level algorithm's bound, O(n log n)
and change over time (joins, leaves)  the same, summed over time
cost by trial, alike on all workers   the same: the trial has more work
cost by worker and trial              linear program of Lawler and Labetoulle
the last, with too many spans for it  level bound of a cluster that is faster everywhere
====================================  =====================================================

All but the last are the optimum of a preemptive schedule that knows the future and moves trials
for nothing. No schedule on the same cluster ends before any of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hrfs.core.bound import SpeedSteps, level_bound_over_time
from hrfs.experiment.bounds_lp import SolverError, linear_program_bound

_log = logging.getLogger("hrfs")

MOST_PAIRS = 40_000
"""Pairs of worker and trial, times spans between events, that the linear program is given."""

SAME = 1e-9
"""Relative difference up to which factors count as a product of a worker's and a trial's."""


def least_makespan_s(
    work: Sequence[float],
    speeds: Sequence[SpeedSteps],
    factors: NDArray[np.float64] | None = None,
) -> float:
    """C*, by the method that fits; see the module.

    Args:
        work: iterations per trial, each >= 0.
        speeds: the steps of each worker's speed, as from :func:`speed_steps`.
        factors: shape (workers, trials); an iteration of trial j on worker i takes
            ``factors[i, j]`` times as long as the worker's speed says. None: 1 everywhere.

    Returns:
        Seconds from time 0; infinite if the workers leave before the work can be done.

    Raises:
        ValueError: as :func:`hrfs.core.bound.level_bound_over_time`, or factors of another
            shape, or one that is not positive and finite.
    """
    if factors is None:
        return level_bound_over_time(work, speeds)
    costs = np.asarray(factors, dtype=float)
    if costs.shape != (len(speeds), len(work)):
        raise ValueError(f"factors: shape {costs.shape} is not ({len(speeds)}, {len(work)})")
    if not np.all(np.isfinite(costs)) or np.any(costs <= 0):
        raise ValueError("factors: each must be positive and finite")
    by_worker, by_trial = uniform_envelope(costs)
    level = level_bound_over_time(
        [float(p) for p in np.asarray(work) * by_trial],
        [slower(steps, factor) for steps, factor in zip(speeds, by_worker, strict=True)],
    )
    if np.all(costs <= np.outer(by_worker, by_trial) * (1 + SAME)):
        return level
    spans = len({from_s for steps in speeds for from_s, _ in steps}) + 1
    if costs.size * spans > MOST_PAIRS:
        return level
    try:
        return max(level, linear_program_bound(work, speeds, costs))
    except SolverError as error:
        _log.warning("%s; C* is that of a cluster that is faster everywhere", error)
        return level


def uniform_envelope(
    factors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors r of the workers and w of the trials with ``r_i w_j <= factors[i, j]`` everywhere.

    A cluster with these costs is at least as fast as the one with ``factors``, so its bound
    holds for both. Equal everywhere if ``factors`` is such a product.
    """
    if factors.size == 0:
        return np.ones(factors.shape[0]), np.ones(factors.shape[1])
    by_worker = np.exp(np.log(factors).mean(axis=1))
    by_trial = (factors / by_worker[:, None]).min(axis=0)
    return by_worker, by_trial


def slower(steps: SpeedSteps, factor: float) -> list[tuple[float, float]]:
    """The steps of a worker that takes ``factor`` times as long for an iteration."""
    return [(from_s, float(speed / factor)) for from_s, speed in steps]


def speed_steps(
    seconds_per_iteration: float,
    joins_at_s: float = 0.0,
    leaves_at_s: float | None = None,
    changes: Sequence[tuple[float, float]] = (),
) -> list[tuple[float, float]]:
    """The steps of a worker that joins once and may leave once.

    Args:
        seconds_per_iteration: of the worker as it is before any change, > 0.
        joins_at_s: from then on it is there.
        leaves_at_s: from then on it is gone; None if it stays.
        changes: ``(at_s, factor)``, ascending: from ``at_s`` on an iteration takes ``factor``
            times ``seconds_per_iteration``.
    """
    base = 1.0 / seconds_per_iteration
    until_s = math.inf if leaves_at_s is None else leaves_at_s
    if until_s <= joins_at_s:
        return [(joins_at_s, 0.0)]
    before = [factor for at_s, factor in changes if at_s <= joins_at_s]
    steps = [(joins_at_s, base / before[-1] if before else base)]
    steps += [(at_s, base / factor) for at_s, factor in changes if joins_at_s < at_s < until_s]
    return steps if leaves_at_s is None else [*steps, (leaves_at_s, 0.0)]
