"""Intervals against hand-computed ones, and against how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats  # noqa: F401  (a second, which is not to count as a test's)
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.reporting.statistics import BCA, BOOTSTRAP_FROM, Estimate, T, estimate

VALUES = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=7)


def test_t_interval_computed_by_hand() -> None:
    # mean 3, squared distances 4 + 1 + 9 + 0 = 14 over 3; t(0.975, 3) = 3.182446 in any table
    found = estimate([1.0, 2.0, 6.0, 3.0])
    assert (found.n, found.mean, found.method) == (4, 3.0, T)
    assert found.std == pytest.approx(math.sqrt(14 / 3))
    half = 3.182446305 * math.sqrt(14 / 3) / 2
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))


def test_two_values_have_a_wide_interval() -> None:
    # t(0.975, 1) = tan(0.475 pi) = 12.7062, std = sqrt(0.5), so 12.7062 * 0.5 about 0.5
    found = estimate([0.0, 1.0])
    assert found.high == pytest.approx(0.5 + math.tan(0.475 * math.pi) * 0.5)


def test_what_has_no_interval_says_why() -> None:
    assert estimate([]) == Estimate(0, None, None, None, None, "none: no value")
    assert estimate([3.5]) == Estimate(1, 3.5, None, None, None, "none: one value")
    equal = "none: all values are equal"
    assert estimate([0.1] * 9) == Estimate(9, pytest.approx(0.1), 0.0, None, None, equal)
    rounded = estimate([0.1 + 0.2, 0.3, 0.3])
    assert (rounded.std, rounded.low, rounded.method) == (0.0, None, equal)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_was_not_measured_is_not_taken_in(bad: float) -> None:
    with pytest.raises(ValueError, match="all values must be finite"):
        estimate([1.0, bad, 2.0])


@given(VALUES, st.floats(0.01, 100), st.floats(-100, 100))
@settings(max_examples=50)
def test_t_moves_with_its_values(values: list[float], factor: float, shift: float) -> None:
    if max(values) - min(values) < 0.01:
        return
    one, moved = estimate(values), estimate([factor * value + shift for value in values])
    assert one.low is not None
    assert one.high is not None
    assert one.mean is not None
    scale = factor * (one.high - one.low) + abs(shift) + abs(factor * one.mean)
    assert moved.low == pytest.approx(factor * one.low + shift, abs=1e-9 * scale)
    assert moved.high == pytest.approx(factor * one.high + shift, abs=1e-9 * scale)


@given(st.permutations([1.0, 2.5, 2.5, 3.0, 7.0, 8.0, 8.5, 20.0]))
@settings(max_examples=5, deadline=None)
def test_the_bootstrap_is_the_same_every_time_and_in_any_order(values: list[float]) -> None:
    found = estimate(values)
    assert found == estimate(sorted(values))
    assert found.method == BCA
    assert found.low is not None
    assert found.high is not None
    assert found.mean is not None
    assert min(values) < found.low < found.mean < found.high < max(values)


def test_bootstrap_from_eight_on() -> None:
    values = [float(n) for n in range(BOOTSTRAP_FROM)]
    assert estimate(values[:-1]).method == T
    assert estimate(values).method == BCA


def test_bootstrap_leans_where_the_values_do() -> None:
    """Of skewed values the interval reaches further to the side of the tail; t cannot."""
    found = estimate([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 9.0])
    assert found.low is not None
    assert found.high is not None
    assert found.mean is not None
    assert found.high - found.mean > 1.5 * (found.mean - found.low)


@pytest.mark.parametrize("zeros", [1, 4, 7])
def test_bootstrap_of_two_distinct_values(zeros: int) -> None:
    found = estimate([0.0] * zeros + [1.0] * (8 - zeros))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.high <= 1


def _hits(draw: np.random.Generator, size: int, times: int) -> float:
    """Share of intervals that hold the mean, which is 1, of exponential values."""
    inside = 0
    for _ in range(times):
        found = estimate([float(value) for value in draw.exponential(1.0, size)])
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 1.0 <= found.high
    return inside / times


@pytest.mark.slow
def test_bootstrap_holds_the_truth_about_as_often_as_it_says() -> None:
    """BCa is asymptotic: of 20 skewed values it holds the mean a little less than 95 %."""
    assert 0.87 <= _hits(np.random.default_rng(0), size=20, times=300) <= 0.98


def test_t_holds_the_truth_of_normal_values() -> None:
    draw, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        found = estimate([float(value) for value in draw.normal(5.0, 2.0, 4)])
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 5.0 <= found.high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)
