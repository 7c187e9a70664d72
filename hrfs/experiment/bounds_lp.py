"""The least makespan where a trial's cost depends on the worker: a linear program.

Lawler and Labetoulle, "On preemptive scheduling of unrelated parallel processors by linear
programming", JACM 25 (1978). scipy is imported where it is used, since it is slow to import.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrfs.core.bound import ROUNDING, SpeedSteps, constant_spans

Array = NDArray[np.float64]


class SolverError(RuntimeError):
    """The solver gave up, or met numerical trouble."""


def linear_program_bound(
    work: Sequence[float], speeds: Sequence[SpeedSteps], factors: NDArray[np.float64]
) -> float:
    """Optimal preemptive makespan on unrelated machines (R|pmtn|Cmax), over time.

    In the span e of length L_e, in which no speed changes, x_ije are the seconds for which
    worker i has trial j, and v_ije = s_ie / f_ij iterations per second is what they bring:

        min C   with   sum_ie v_ije x_ije >= p_j,   sum_j x_ije <= L_e,   sum_i x_ije <= L_e

    the last span ending at C. Preemptive schedules within a span exist for every such x (open
    shop), so the program's value is the optimum, not only a bound. Equal workers and equal
    trials are one row and one column. What is returned is the value of a dual solution made
    exactly feasible, so that the solver's tolerance cannot lift it above the optimum.

    Args:
        work: iterations per trial, shape (trials,), each >= 0.
        speeds: the steps of each worker's speed.
        factors: shape (workers, trials); an iteration of trial j on worker i takes
            ``factors[i, j]`` times as long as the worker's speed says.

    Returns:
        Seconds from time 0; infinite if the workers leave before the work can be done.

    Raises:
        SolverError: the solver found neither an optimum nor that there is none.
    """
    spans = [(begin_s, end_s, rates.copy()) for begin_s, end_s, rates in constant_spans(speeds)]
    p = np.asarray(work, dtype=float)
    kept = p > 0
    if not kept.any():
        return 0.0
    problem = _Problem.grouped(p[kept], spans, np.asarray(factors, dtype=float)[:, kept])
    low, high = 0, len(spans) - 1
    found: dict[int, float] = {}
    while low < high:  # the first span that need not be longer than it is
        middle = (low + high) // 2
        found[middle] = problem.needed_s(middle)
        length_s = spans[middle][1] - spans[middle][0]
        if found[middle] <= length_s * (1 + ROUNDING):
            high = middle
        else:
            low = middle + 1
    needed_s = found[low] if low in found else problem.needed_s(low)
    return spans[low][0] + max(0.0, needed_s)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Groups of equal workers and of equal trials. G groups of workers, H of trials, E spans."""

    workers: Array
    """Workers per group, shape (G,)."""
    trials: Array
    """Trials per group, shape (H,)."""
    work: Array
    """Iterations of each trial of a group, shape (H,)."""
    lengths_s: Array
    """Shape (E,); the last is infinite."""
    rates: Array
    """Iterations per second, shape (E, G, H)."""

    @classmethod
    def grouped(
        cls, work: Array, spans: Sequence[tuple[float, float, Array]], factors: Array
    ) -> _Problem:
        """Find the equals."""
        by_span = np.stack([rates for _, _, rates in spans])  # (E, workers)
        _, rows, per_row = np.unique(
            np.hstack([by_span.T, factors]), axis=0, return_index=True, return_counts=True
        )
        _, columns, per_column = np.unique(
            np.vstack([work, factors]), axis=1, return_index=True, return_counts=True
        )
        return cls(
            workers=per_row.astype(float),
            trials=per_column.astype(float),
            work=work[columns],
            lengths_s=np.array([end_s - begin_s for begin_s, end_s, _ in spans]),
            rates=by_span[:, rows, None] / factors[np.ix_(rows, columns)],
        )

    def needed_s(self, last: int) -> float:
        """Seconds of span ``last``, were it endless, that are needed after all spans before it.

        Negative or 0 if the work can be done before; infinite if it cannot be done at all.
        """
        from scipy.optimize import linprog

        rates = self.rates[: last + 1]
        if not (rates > 0).any(axis=(0, 1)).all():
            return math.inf
        best = rates.max(axis=(0, 1))
        alone_s = self.work * self.trials / best
        unit_s = float(alone_s.sum() / self.workers.sum())  # the solver sees numbers near 1
        gains = rates / best
        lengths = self.lengths_s[: last + 1] / unit_s
        matrix, capacity = self._constraints(gains, lengths)
        costs = np.zeros(matrix.shape[1])
        costs[-1] = 1.0
        right = np.concatenate([-alone_s / unit_s, capacity])
        solved = linprog(costs, A_ub=matrix, b_ub=right, method="highs")
        if solved.status == 2:
            return math.inf
        if solved.status != 0:
            raise SolverError(f"HiGHS did not solve the bound: {solved.message}")
        prices = np.maximum(-solved.ineqlin.marginals, 0.0)
        return self._certified(prices, gains, alone_s / unit_s, lengths) * unit_s

    def _constraints(self, gains: Array, lengths: Array) -> tuple[Any, Array]:
        """``A x <= b``: first the work (H rows), then workers (E x G), then trials (E x H).

        The columns are the pairs (span, worker group, trial group) of a positive speed, in the
        order of :func:`numpy.nonzero`, then the length of the last span. Returned are A and the
        part of b that belongs to workers and trials.
        """
        from scipy.sparse import coo_array

        spans, rows, columns = np.nonzero(gains)
        e, g, h = gains.shape
        pair = np.arange(spans.size)
        last = np.full(g + h, spans.size)
        i = [columns, h + spans * g + rows, h + e * g + spans * h + columns]
        i += [h + (e - 1) * g + np.arange(g), h + e * g + (e - 1) * h + np.arange(h)]
        j = [pair, pair, pair, last[:g], last[g:]]
        values = [-gains[spans, rows, columns], np.ones(spans.size), np.ones(spans.size)]
        values += [-self.workers, -self.trials]
        shape = (h + e * (g + h), spans.size + 1)
        entries = (np.concatenate(values), (np.concatenate(i), np.concatenate(j)))
        before = np.append(lengths[:-1], 0.0)
        capacity = [np.outer(before, many).ravel() for many in (self.workers, self.trials)]
        return coo_array(entries, shape=shape).tocsr(), np.concatenate(capacity)

    def _certified(self, prices: Array, gains: Array, demand: Array, lengths: Array) -> float:
        """The value of a feasible dual solution that shares its prices of time with ``prices``.

        Prices a of workers and b of trials per unit of time, at least 0 and in the last span at
        most 1 in all, fix the price of work: y_h = min over (e, g) of (a_eg + b_eh) / gain_egh.
        By weak duality ``sum demand_h y_h - sum_e length_e (sum_g n_g a_eg + sum_h n_h b_eh)``
        is a lower bound.
        """
        e, g, h = gains.shape
        a = prices[h : h + e * g].reshape(e, g)
        b = prices[h + e * g :].reshape(e, h)
        rent = a @ self.workers + b @ self.trials
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(gains > 0, (a[:, :, None] + b[:, None, :]) / gains, math.inf)
        value = ratios.min(axis=(0, 1)) @ demand - rent[:-1] @ lengths[:-1]
        return float(value / max(1.0, rent[-1]))
