"""What the core is told of a slice's seconds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from hrfs.experiment.records import SliceRecord

pytestmark = pytest.mark.ray

RECORD = SliceRecord(
    slice=0,
    trial=0,
    worker="w",
    start_s=100.0,
    end_s=110.0,
    from_iteration=0,
    to_iteration=50,
    load_s=0.5,
    train_s=6.0,
    evaluate_s=1.0,
    save_s=0.5,
    wait_s=2.0,
)


def _held_s(record: SliceRecord = RECORD, **result: Any) -> tuple[float, float | None]:
    from hrfs.tuning.dispatch import held_s

    return held_s(record, result)


def test_a_hand_over_is_overhead_like_loading_evaluating_and_saving() -> None:
    assert _held_s(train_s=6.0, fresh_process=False) == (10.0, 4.0)


def test_of_a_new_process_only_the_parts_that_come_with_every_slice_count() -> None:
    assert _held_s(train_s=6.0, fresh_process=True) == (8.0, 2.0)


@pytest.mark.parametrize("told", [{}, {"train_s": 0.0}, {"train_s": math.nan}, {"train_s": -1.0}])
def test_without_training_seconds_the_overhead_is_unknown(told: dict[str, float]) -> None:
    assert _held_s(**told) == (10.0, None)


def test_clocks_that_disagree_leave_no_overhead() -> None:
    """The worker's clock has told more seconds than the driver's."""
    assert _held_s(train_s=10.5) == (10.0, 0.0)


def test_training_seconds_that_are_nothing_beside_the_slice_are_not_believed() -> None:
    assert _held_s(train_s=1e-30) == (10.0, None)


@pytest.mark.parametrize("fresh", [True, False])
def test_the_estimator_takes_whatever_comes_out(fresh: bool) -> None:
    from hrfs.core.estimator import SpeedEstimator

    for train_s in (0.0, 1e-30, 1e-9, 6.0, 8.0, 10.0, 1e9):
        estimator = SpeedEstimator()
        estimator.join("w", "cpu")
        record = replace(RECORD, train_s=train_s, wait_s=max(0.0, 8.0 - train_s))
        duration_s, overhead_s = _held_s(record, train_s=train_s, fresh_process=fresh)
        estimator.observe("w", 0, 50, duration_s, overhead_s, moved=False)
        estimate = estimator.estimate("w")
        assert estimate is not None
        assert estimate.seconds_per_iteration > 0
