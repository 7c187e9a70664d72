"""Two ways of running held against each other, seed by seed: differences, ratios and a test.

A seed fixes first hyperparameters, weights and batches, so two runs of one seed have all of that
in common, and their difference says more than the difference of two means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hrfs.reporting.statistics import Estimate, estimate

EXACT_PAIRS = 13
"""With more pairs than this, and ties, the signs are drawn at random instead of all tried."""
DRAWS = 9999


@dataclass(frozen=True, slots=True)
class Wilcoxon:
    """Two-sided signed-rank test that the differences lie symmetrically around 0."""

    pairs: int
    """Pairs that differ; equal ones are left out (Wilcoxon 1945)."""
    p: float | None
    """None if no pair differs."""
    least_p: float | None
    """The smallest that so many pairs can give, ``2 / 2**pairs``: all on one side."""
    method: str


@dataclass(frozen=True, slots=True)
class Paired:
    """One figure of a contender and of the baseline, over the seeds for which both have it."""

    metric: str
    seeds: tuple[int, ...]
    mine: Estimate
    """Of the contender."""
    theirs: Estimate
    """Of the baseline."""
    difference: Estimate
    """Contender minus baseline."""
    ratio: Estimate | None
    """Baseline / contender, the geometric mean: how many times as fast. Only of times."""
    test: Wilcoxon
    """Of the logarithms of the ratios where there are ratios, else of the differences."""


def pair(
    metric: str,
    mine: Mapping[int, float | None],
    theirs: Mapping[int, float | None],
    is_time: bool,
) -> Paired:
    """Compare the values of the seeds that both have; each maps seed to value, None is unknown.

    Of times the interval of the ratio is that of the mean of log(baseline / contender), taken
    back by exp: a schedule makes a run so many times as long, whatever its length.
    """
    both = {
        seed: (value, other)
        for seed, value in sorted(mine.items())
        if value is not None and (other := theirs.get(seed)) is not None
    }
    differences = [value - other for value, other in both.values()]
    logs = (
        [math.log(other / value) for value, other in both.values()]
        if is_time and all(value > 0 and other > 0 for value, other in both.values())
        else None
    )
    return Paired(
        metric=metric,
        seeds=tuple(both),
        mine=estimate([value for value, _ in both.values()]),
        theirs=estimate([other for _, other in both.values()]),
        difference=estimate(differences),
        ratio=None if logs is None else _exponential(estimate(logs)),
        test=signed_rank(differences if logs is None else logs),
    )


def _exponential(logs: Estimate) -> Estimate:
    """The estimate of a geometric mean from that of the mean logarithm; it has no ``std``."""

    def exp(value: float | None) -> float | None:
        return None if value is None else math.exp(value)

    return Estimate(logs.n, exp(logs.mean), None, exp(logs.low), exp(logs.high), logs.method)


def signed_rank(differences: Sequence[float]) -> Wilcoxon:
    """The Wilcoxon signed-rank test, two-sided.

    Exact: of all 2**n ways to give the n ranks a sign, the share that lies as far out. With
    ties among the absolute differences the ranks are shared, and beyond :data:`EXACT_PAIRS`
    pairs the signs are then drawn :data:`DRAWS` times from a fixed seed.
    """
    known = np.array([value for value in differences if value != 0], dtype=float)
    n = int(known.size)
    if n == 0:
        return Wilcoxon(0, None, None, "none: no pair differs")
    from scipy.stats import permutation_test, rankdata, wilcoxon  # a second to import

    least_p = 2.0 ** (1 - n)
    if len(np.unique(np.abs(known))) == n:
        return Wilcoxon(n, float(wilcoxon(known, method="exact").pvalue), least_p, "exact")
    ranks = rankdata(np.abs(known))

    def above(signed: np.ndarray, axis: int) -> np.ndarray:
        positive: np.ndarray = np.where(signed > 0, signed, 0.0).sum(axis=axis)
        return positive

    found = permutation_test(
        (ranks * np.sign(known),),
        above,
        permutation_type="samples",
        vectorized=True,
        n_resamples=DRAWS,
        random_state=np.random.default_rng(0),
    )
    method = "exact, with ties" if n <= EXACT_PAIRS else f"of {DRAWS} drawn signs, with ties"
    return Wilcoxon(n, float(found.pvalue), least_p, method)
