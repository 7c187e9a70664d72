"""The least makespan that any schedule could reach: what every run is held against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
    p = np.sort(np.asarray(work, dtype=float))[::-1]
    s = np.sort(np.asarray(speeds, dtype=float))[::-1]
    if s.size == 0 or not np.all(np.isfinite(s)) or s[-1] <= 0:
        raise ValueError(f"speeds={list(speeds)!r}: at least one, each positive and finite")
    if p.size == 0:
        return 0.0
    if not np.all(np.isfinite(p)) or p[-1] < 0:
        raise ValueError(f"work={list(work)!r}: each must be finite and not negative")
    k = min(s.size - 1, p.size)
    largest_jobs = np.cumsum(p)[:k] / np.cumsum(s)[:k]
    return float(max(largest_jobs.max(initial=0.0), p.sum() / s.sum()))
