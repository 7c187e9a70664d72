"""The paper's time-cost measure, against an example worked out by hand."""

from __future__ import annotations

import math

import pytest

from hrfs.core.tca import TcaEstimator


def test_hand_computed_example() -> None:
    tca = TcaEstimator()
    tca.observe("a", 10.0)  # fastest 10, r = 1: 1
    tca.observe("b", 35.0)  # r = ceil(3.5) = 4: 4 + floor(4/1) = 8
    tca.observe("c", 5.0)  # fastest 5, r = 1: 1 + floor(1/1) + floor(1/8) = 2
    tca.observe("d", 12.0)  # r = ceil(2.4) = 3: 3 + floor(3/1) + floor(3/8) + floor(3/2) = 7
    assert tca.measured == {"a": 1, "b": 8, "c": 2, "d": 7}


def test_only_the_first_slice_counts_for_a_worker_and_for_the_fastest() -> None:
    tca = TcaEstimator()
    tca.observe("a", 10.0)
    tca.observe("a", 1.0)
    tca.observe("b", 20.0)  # r = 20 / 10, not 20 / 1
    assert tca.measured == {"a": 1, "b": 4}


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf])
def test_impossible_durations_are_refused(duration_s: float) -> None:
    tca = TcaEstimator()
    with pytest.raises(ValueError, match=rf"^duration_s={duration_s!r} of a: must be positive"):
        tca.observe("a", duration_s)
    assert tca.measured == {}
