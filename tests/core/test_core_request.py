"""Which single resource request a population is served best by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.bound import level_bound
from hrfs.core.request import best_request, predicted_makespan_s
from hrfs.core.subset import AFFORDABLE_SLICES


def test_alike_workers_by_hand() -> None:
    assert predicted_makespan_s([0.5, 0.5], trials=4, stop_iterations=100, interval=50) == 100.0
    assert predicted_makespan_s([0.5, 0.5], trials=3, stop_iterations=100, interval=50) == 75.0


def test_the_lab_of_the_paper() -> None:
    """One GPU of 0.025 s per iteration is done before eight CPUs that half its speed in all."""
    cpus = [0.2, 0.25, 1 / 3, 1 / 3, 4 / 11, 1.0, 1.0, 1.0]
    predicted_s = {
        "gpu": predicted_makespan_s([0.025], 20, 1000, 50),
        "cpu": predicted_makespan_s(cpus, 20, 1000, 50),
    }
    assert predicted_s["gpu"] == pytest.approx(500.0)
    assert 20_000 / 20.75 <= predicted_s["cpu"] < 1100
    assert best_request(predicted_s) == "gpu"


def test_a_worker_that_is_far_too_slow_is_worse_than_none() -> None:
    """As under Ray, which hands it a trial all the same; C* would be lower with it."""
    alone = predicted_makespan_s([0.01], 4, 100, 50)
    with_slow = predicted_makespan_s([0.01, 10.0], 4, 100, 50)
    assert alone == pytest.approx(4.0)
    assert with_slow >= 500.0


@given(
    st.lists(st.floats(0.01, 10), min_size=1, max_size=8),
    st.integers(1, 12),
    st.integers(1, 60),
    st.integers(1, 20),
)
def test_no_prediction_beats_the_bound(
    seconds: list[float], trials: int, stop: int, interval: int
) -> None:
    predicted_s = predicted_makespan_s(seconds, trials, stop, interval)
    assert predicted_s >= level_bound([stop] * trials, [1 / s for s in seconds]) * (1 - 1e-9)
    assert predicted_s == predicted_makespan_s(seconds[::-1], trials, stop, interval)


def test_huge_populations_are_estimated() -> None:
    trials = AFFORDABLE_SLICES
    predicted_s = predicted_makespan_s([0.1] * 10, trials, 100, 50)
    assert predicted_s == pytest.approx(trials * 100 * 0.01, rel=0.01)


def test_equal_requests_and_bad_ones() -> None:
    assert best_request({"b": 2.0, "a": 2.0, "c": 3.0}) == "b"
    with pytest.raises(ValueError, match="empty"):
        best_request({})
    for seconds in ([], [0.0, 1.0]):
        with pytest.raises(ValueError, match="at least one, each positive"):
            predicted_makespan_s(seconds, 1, 1, 1)
