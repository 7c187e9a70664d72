"""How many of the fastest workers finish a run first, if no others are used."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, count

import numpy as np

AFFORDABLE_SLICES = 100_000
"""Played through within about 0.1 s, for all sizes together."""
_ENOUGH_ROUNDS = 20
"""Slices per trial below which a run played in longer slices tells little."""
_ENOUGH_SIZES = 8
"""Numbers of workers below which trying some of them tells less than the estimate of all."""


def fastest_subset(
    seconds_per_iteration: Sequence[float],
    trials: int,
    stop_iterations: int,
    interval: int,
    affordable_slices: int = AFFORDABLE_SLICES,
) -> int:
    """The m for which the m fastest workers finish first by least-advanced-first.

    Runs that are small enough are played through for every m (:func:`greedy_finish_s`); with
    more iterations in longer slices, with more workers and trials for some m; and beyond that
    :func:`estimated_finish_s` decides. The smallest of equally good m.

    Args:
        seconds_per_iteration: Of each worker, ascending. At least one.
        trials: How many; no more workers than that are of use.
        stop_iterations: Iterations of each trial.
        interval: Iterations of a slice.
        affordable_slices: How many may be played through.
    """
    seconds = seconds_per_iteration[: max(1, trials)]
    estimates_s = estimated_finish_s(seconds, trials, stop_iterations, interval)
    promising = int(np.argmin(estimates_s)) + 1
    rounds = math.ceil(stop_iterations / interval)
    fewest = min(rounds, _ENOUGH_ROUNDS)
    affordable = affordable_slices // (fewest * max(1, trials))
    if affordable < min(len(seconds), _ENOUGH_SIZES):
        return promising
    step = math.ceil(len(seconds) / affordable)
    sizes = {promising, *range(step, len(seconds) + 1, step)}
    rounds = min(rounds, max(fewest, affordable_slices // (len(sizes) * max(1, trials))))
    longer = max(interval, math.ceil(stop_iterations / rounds))
    by_promise = sorted(sizes, key=lambda size: (estimates_s[size - 1], size))
    return _play(by_promise, seconds, trials, stop_iterations, longer)


def _play(
    sizes: Sequence[int], seconds: Sequence[float], trials: int, stop_iterations: int, interval: int
) -> int:
    """Try the sizes in this order, but for those that can be no better than one before."""
    whole = min(interval, stop_iterations)
    rate = list(accumulate(1 / each for each in seconds))
    best: tuple[float, int] = (math.inf, 1)
    for size in sizes:
        # All the work; and the slowest worker's first slice, and the rest of that trial.
        work_s = trials * stop_iterations / rate[size - 1]
        chain_s = whole * seconds[size - 1] + (stop_iterations - whole) * seconds[0]
        if max(work_s, chain_s) <= best[0] * (1 + 1e-9):  # sums differ in their last digits
            finish_s = greedy_finish_s(seconds[:size], trials, stop_iterations, interval)
            best = min(best, (finish_s, size))
    return best[1]


def estimated_finish_s(
    seconds_per_iteration: Sequence[float], trials: int, stop_iterations: int, interval: int
) -> np.ndarray:
    """About how long the m fastest workers need, for every m; shape (workers,), in seconds.

    With N trials of S iterations in slices of K, and c the ascending seconds per iteration::

        N S / R + d + L K m / R,    R = sum of 1 / c[i] over the m,   d = c[m] K

    The work at full speed, the slowest worker's last slice, and the L slices by which its
    trial lags then: as many rounds as the others do meanwhile, less one, at their mean pace.
    """
    seconds = np.asarray(seconds_per_iteration, dtype=float)
    rate = np.cumsum(1 / seconds)
    slice_s = seconds * min(interval, stop_iterations)
    work_s = trials * stop_iterations / rate
    rounds = math.ceil(stop_iterations / interval)
    lag = np.clip(slice_s * rounds / work_s - 1, 0, rounds - 1)
    estimates_s: np.ndarray = (
        work_s + slice_s + lag * interval * np.arange(1, len(seconds) + 1) / rate
    )
    return estimates_s


def greedy_finish_s(
    seconds_per_iteration: Sequence[float], trials: int, stop_iterations: int, interval: int
) -> float:
    """Seconds until all trials are done if a free worker takes the least advanced trial.

    Every slice is one interval; nothing but the iterations takes time. Ties are broken as in
    the simulator: the slice that began first ends first, the worker that became free first is
    served first. Costs O(slices * log(workers + trials)). At least one worker.
    """
    free = deque(seconds_per_iteration)
    waiting = [0] * trials  # iterations done: trials of the same age are interchangeable
    ends: list[tuple[float, int, float, int]] = []
    slices, now_s = count(), 0.0
    while waiting or ends:
        while waiting and free:
            iteration, seconds = heapq.heappop(waiting), free.popleft()
            done = min(iteration + interval, stop_iterations)
            end_s = now_s + (done - iteration) * seconds
            heapq.heappush(ends, (end_s, next(slices), seconds, done))
        now_s, _, seconds, done = heapq.heappop(ends)
        free.append(seconds)
        if done < stop_iterations:
            heapq.heappush(waiting, done)
    return now_s
