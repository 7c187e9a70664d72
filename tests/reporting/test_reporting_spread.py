"""Spread and staleness against a slow reading of their definitions; whole files at once."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.experiment.records import SLICE_COLUMNS, SliceRecord
from hrfs.reporting.slices_write import encode_slices
from hrfs.reporting.spread import spread


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[SliceRecord], int]:
    """Slices of one worker, one after the other, and the number of trials."""
    trials = draw(st.integers(1, 4))
    steps = draw(
        st.lists(
            st.tuples(st.integers(0, trials - 1), st.integers(1, 50), st.floats(0.1, 9)),
            min_size=1,
            max_size=12,
        )
    )
    at, now_s, records = [0] * trials, 0.5, []
    for number, (trial, iterations, seconds) in enumerate(steps):
        done = at[trial] + iterations
        records.append(SliceRecord(number, trial, "w", now_s, now_s + seconds, at[trial], done))
        at[trial], now_s = done, now_s + seconds
    return records, trials


def at_end_of(records: Sequence[SliceRecord], trials: int, now_s: float) -> list[int]:
    return [
        max([r.to_iteration for r in records if r.trial == t and r.end_s <= now_s], default=0)
        for t in range(trials)
    ]


@given(schedules())
def test_means_are_weighted_by_time(made: tuple[list[SliceRecord], int]) -> None:
    records, trials = made
    moments = [records[0].start_s, *(r.end_s for r in records)]
    apart, stale, largest = 0.0, 0.0, 0
    for begin_s, end_s in pairwise(moments):
        at = at_end_of(records, trials, begin_s)
        apart += (max(at) - min(at)) * (end_s - begin_s)
        stale += sum(max(at) - n for n in at) / trials * (end_s - begin_s)
    for now_s in moments:
        at = at_end_of(records, trials, now_s)
        largest = max(largest, max(at) - min(at))
    found = spread(records[::-1], trials)
    assert found is not None
    assert found.mean_iterations == pytest.approx(apart / (moments[-1] - moments[0]))
    assert found.mean_staleness_iterations == pytest.approx(stale / (moments[-1] - moments[0]))
    assert found.largest_iterations == largest


def test_no_time_has_no_spread() -> None:
    assert spread([], 3) is None
    assert spread([SliceRecord(0, 0, "w", 1.0, 1.0, 0, 5)], 3) is None


def test_a_whole_file_has_metrics_before_hyperparameters() -> None:
    records = [
        SliceRecord(
            number, 0, "w", 0.0, 0.1, 0, 5,
            reason="a, b", metrics={"val": 0.5}, hyperparameters={"lr": 0.1} if number else {},
        )
        for number in range(2500)
    ]  # fmt: skip
    chunks = list(encode_slices(records))
    rows = list(csv.reader(b"".join(chunks).decode().splitlines()))
    assert len(chunks) == 4
    assert len(rows) == 2501
    assert rows[0][:7] == list(SLICE_COLUMNS)
    assert rows[0][-2:] == ["val", "hp/lr"]
    assert rows[1][:7] == ["0", "0", "w", "0.0", "0.1", "0", "5"]
    assert (rows[1][-2:], rows[2][-2:]) == (["0.5", ""], ["0.5", "0.1"])
    assert rows[1][9] == "a, b"
    assert list(encode_slices([])) == [chunks[0].replace(b",val,hp/lr", b"")]
