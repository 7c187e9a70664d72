"""What a handful of repeated runs says about the mean: an interval, and how it was made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
BOOTSTRAP_FROM = 8
"""Fewer values than this have too few distinct resamples: they get Student's t."""
RESAMPLES = 9999
ROUNDING = 1e-12
"""Relative difference up to which two values are one and the same, rounded unlike."""
T = "t"
BCA = "BCa bootstrap"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean and spread of ``n`` values, and an interval for the mean behind them.

    ``std`` is that of the sample (divided by n - 1), None for fewer than two values. ``low``
    and ``high`` are None where no interval can be given; then ``method`` says why, in a phrase
    that begins with ``none``.
    """

    n: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    method: str


def estimate(values: Sequence[float]) -> Estimate:
    """Mean, standard deviation and 95 % confidence interval of the mean of ``values``.

    From :data:`BOOTSTRAP_FROM` values on the interval is the bias-corrected and accelerated
    bootstrap (Efron, Better bootstrap confidence intervals, 1987) of 9999 resamples from a
    fixed seed, below that Student's t: mean ± t(0.975, n - 1) · std / sqrt(n), which takes the
    values to be normal. Neither is given for one value, nor for values that are all equal, of
    which the sample cannot say how far they might have lain apart. The order of ``values``
    does not matter.

    Raises:
        ValueError: a value is NaN or infinite; what was not measured is to be left out, and
            told, by the caller.
    """
    known = np.sort(np.asarray(values, dtype=float))
    if not np.isfinite(known).all():
        raise ValueError(f"all values must be finite, and these are {list(values)}")
    if known.size == 0:
        return Estimate(0, None, None, None, None, "none: no value")
    mean = math.fsum(known) / known.size
    if known.size == 1:
        return Estimate(1, mean, None, None, None, "none: one value")
    if math.isclose(known[0], known[-1], rel_tol=ROUNDING, abs_tol=0.0):
        return Estimate(known.size, mean, 0.0, None, None, "none: all values are equal")
    std = math.sqrt(math.fsum((known - mean) ** 2) / (known.size - 1))
    low, high, method = _interval(known, mean, std)
    return Estimate(known.size, mean, std, low, high, method)


def _interval(known: np.ndarray, mean: float, std: float) -> tuple[float, float, str]:
    if known.size >= BOOTSTRAP_FROM:
        from scipy.stats import bootstrap  # a second to import, and few have so many seeds

        found = bootstrap(
            (known,),
            np.mean,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            method="BCa",
            random_state=np.random.default_rng(0),
        ).confidence_interval
        return float(found.low), float(found.high), BCA
    from scipy.special import stdtrit  # the quantile of scipy.stats.t, sooner imported

    quantile = float(stdtrit(known.size - 1, (1 + CONFIDENCE) / 2))
    half = quantile * std / math.sqrt(known.size)
    return mean - half, mean + half, T
