"""What a run's end says of the estimates that the scheduler went by."""

from __future__ import annotations

from pathlib import Path

import pytest
from reporting_play import make_plan

from hrfs.experiment.calibration import calibration
from hrfs.experiment.records import SliceRecord
from hrfs.reporting import History, summarise
from hrfs.reporting.farewell import summary_lines


def _history(durations_s: list[float]) -> History:
    history, now_s = History(), 0.0
    history.on_start(make_plan(), [])
    for number, seconds in enumerate(durations_s):
        history.on_slice(
            SliceRecord(number, 0, "w", now_s, now_s + seconds, 10 * number, 10 * number + 10)
        )
        now_s += seconds
    return history


def test_the_summary_and_its_last_words_tell_how_predictions_held(tmp_path: Path) -> None:
    history = _history([1.0] * 9 + [5.0])
    summary = summarise(history, {})
    told = summary["estimates"]
    assert told["slices"] == 7  # three slices of a worker come before the first that is judged
    assert told["inside_80_percent_interval"] == pytest.approx(6 / 7)
    assert told["median_error"] == calibration(history.records).median_error
    assert summary_lines(summary, tmp_path)["estimates"] == (
        "86% of 7 slices took as long as predicted within the 80 % interval; median error 0%"
    )


def test_too_few_slices_say_nothing_of_the_estimates(tmp_path: Path) -> None:
    summary = summarise(_history([1.0, 1.0]), {})
    assert summary["estimates"]["slices"] == 0
    assert summary["estimates"]["inside_80_percent_interval"] is None
    assert "estimates" not in summary_lines(summary, tmp_path)
