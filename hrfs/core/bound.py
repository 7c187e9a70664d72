"""The least makespan that any schedule could reach: what every run is held against."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

SpeedSteps = Sequence[tuple[float, float]]
"""A worker's speed over time: ``(from_s, iterations_per_s)``, ascending in time.

Each speed holds until the next step, the last one for ever; 0 before the first step. A worker
that is not there has the speed 0.
"""


def level_bound(work: Sequence[float], speeds: Sequence[float]) -> float:
    """Optimal preemptive makespan of independent jobs on uniform machines (Q|pmtn|Cmax).

    With p the work and s the speeds, both descending, m machines and k from 1 to m - 1:

        C* = max( max_k  sum_{j<=k} p_j / sum_{i<=k} s_i ,  sum p / sum s )

    Horvath, Lam and Sethi, "A level algorithm for preemptive scheduling", JACM 24 (1977).

    Args:
        work: iterations left per trial, each >= 0.
        speeds: iterations per second of each worker, each > 0.

    Returns:
        Seconds; 0 if there is no work.

    Raises:
        ValueError: no speed, a speed that is not positive and finite, or negative work.
    """
    s = np.sort(np.asarray(speeds, dtype=float))[::-1]
    if s.size == 0 or not np.all(np.isfinite(s)) or s[-1] <= 0:
        raise ValueError(f"speeds={list(speeds)!r}: at least one, each positive and finite")
    p = _descending_work(work)
    if p.size == 0:
        return 0.0
    k = min(s.size - 1, p.size)
    largest_jobs = np.cumsum(p)[:k] / np.cumsum(s)[:k]
    return float(max(largest_jobs.max(initial=0.0), p.sum() / s.sum()))


def level_bound_over_time(work: Sequence[float], speeds: Sequence[SpeedSteps]) -> float:
    """:func:`level_bound` for machines that come, go and change their speed.

    With S_k(t) the sum of the k largest speeds at time t and P_k that of the k largest works,
    C* is the least C such that for every k (and for all work on all machines)

        P_k <= integral from 0 to C of S_k(t) dt

    No schedule ends before, and a preemptive one that knows the future ends then: the rates
    that trials can have at one moment form a polymatroid with rank function S_k(t), and the
    sum over time of polymatroids is the polymatroid of the summed rank functions.

    Args:
        work: iterations per trial, each >= 0.
        speeds: the steps of each worker's speed.

    Returns:
        Seconds from time 0; 0 if there is no work, infinite if the workers leave for good
        before it can be done.

    Raises:
        ValueError: no worker, steps that do not ascend from 0 s on, a speed that is negative or
            not finite, or negative work.
    """
    for steps in speeds:
        _check_steps(steps)
    if not speeds:
        raise ValueError("speeds=[]: at least one worker")
    p = _descending_work(work)
    if not p.any():
        return 0.0
    ranks = min(p.size, len(speeds))
    needed = np.cumsum(p)[:ranks]
    needed[-1] = p.sum()
    missing = needed.copy()
    for begin_s, end_s, rates in constant_spans(speeds):
        capacity = np.cumsum(np.sort(rates)[::-1])[:ranks]
        left = missing > 0
        with np.errstate(divide="ignore"):
            needed_s = (missing[left] / capacity[left]).max(initial=0.0)
        if needed_s <= end_s - begin_s and math.isfinite(needed_s):
            return float(begin_s + needed_s)
        if math.isfinite(end_s):
            missing = missing - capacity * (end_s - begin_s)
            # What rounding leaves over must not wait for the next worker.
            missing[missing <= ROUNDING * needed] = 0.0
    return math.inf


ROUNDING = 1e-12
"""Relative size of what rounding may add up to."""


def constant_spans(
    speeds: Sequence[SpeedSteps],
) -> Iterator[tuple[float, float, NDArray[np.float64]]]:
    """The spans of time in which no speed changes: ``(begin_s, end_s, speeds)``.

    From time 0 on; the last span ends at infinity. ``speeds``, shape (workers,), is changed in
    place by the next step of the iteration.
    """
    changes = sorted(
        (from_s, worker, speed) for worker, steps in enumerate(speeds) for from_s, speed in steps
    )
    rates = np.zeros(len(speeds))
    begin_s = 0.0
    for at_s, group in itertools.groupby(changes, key=lambda change: change[0]):
        if at_s > begin_s:
            yield begin_s, at_s, rates
            begin_s = at_s
        for _, worker, speed in group:
            rates[worker] = speed
    yield begin_s, math.inf, rates


def _descending_work(work: Sequence[float]) -> NDArray[np.float64]:
    p = np.sort(np.asarray(work, dtype=float))[::-1]
    if not np.all(np.isfinite(p)) or (p.size and p[-1] < 0):
        raise ValueError(f"work={list(work)!r}: each must be finite and not negative")
    return p


def _check_steps(steps: SpeedSteps) -> None:
    times = [from_s for from_s, _ in steps]
    ascending = all(a < b for a, b in itertools.pairwise(times))
    if not times or not ascending or times[0] < 0 or not all(map(math.isfinite, times)):
        raise ValueError(f"steps={list(steps)!r}: at least one, with ascending times from 0 s on")
    if not all(math.isfinite(speed) and speed >= 0 for _, speed in steps):
        raise ValueError(f"steps={list(steps)!r}: each speed must be finite and not negative")
