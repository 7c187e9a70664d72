"""Lost slices: a line each, the first traceback whole, and all counted by kind."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from reporting_play import WORKERS, Play, make_plan

from hrfs.experiment.records import FAILURE_KINDS, FailureKind, FailureRecord, SliceRecord
from hrfs.reporting import Console, History, make_observers, print_summary, summarise, write_final
from hrfs.reporting.failure_log import MOST_TRACEBACKS, FailureLog
from hrfs.reporting.screen import Screen

TRACEBACK = 'Traceback (most recent call last):\n  File "nets.py", line 7\nValueError: shapes'


def failure(
    number: int, reason: str = "ValueError: shapes", kind: FailureKind = "exception"
) -> FailureRecord:
    traceback = TRACEBACK if kind == "exception" else ""
    return FailureRecord(12.34, number, number % 3, "box/cpu:0", reason, kind, traceback)


def test_each_failure_is_a_line_and_the_traceback_stands_under_the_first(tmp_path: Path) -> None:
    log = FailureLog(tmp_path / "out" / "failures.log")
    log.on_end(1.0)
    assert not (tmp_path / "out").exists(), "no failure, no file"
    for number in range(3):
        log.on_failure(failure(number))
    log.on_failure(failure(3, "died\nof it", "worker lost"))
    lines = (tmp_path / "out" / "failures.log").read_text().splitlines()
    told = "12.3 s: slice {0}, trial {0}, worker box/cpu:0: exception: ValueError: shapes"
    assert lines == [
        told.format(0),
        *(f"    {line}" for line in TRACEBACK.splitlines()),
        told.format(1),
        told.format(2),
        "12.3 s: slice 3, trial 0, worker box/cpu:0: worker lost: died of it",
    ]


def test_another_reason_has_its_own_traceback_up_to_a_number(tmp_path: Path) -> None:
    log = FailureLog(tmp_path / "failures.log")
    for number in range(MOST_TRACEBACKS + 5):
        log.on_failure(failure(number, f"pid {number}"))
    text = (tmp_path / "failures.log").read_text()
    assert text.count("Traceback") == MOST_TRACEBACKS
    assert text.count("exception: pid") == MOST_TRACEBACKS + 5


def test_a_resumed_run_adds_to_the_file(tmp_path: Path) -> None:
    for number in range(2):
        FailureLog(tmp_path / "failures.log").on_failure(failure(number))
    assert (tmp_path / "failures.log").read_text().count("ValueError: shapes\n    Trace") == 2


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "failures.log").mkdir()
    log = FailureLog(tmp_path / "failures.log", told.append)
    log.on_failure(failure(0))
    log.on_failure(failure(1, "odd \ud800 words"))
    assert len(told) == 1
    (tmp_path / "failures.log").rmdir()
    log.on_tick(2.0)
    assert len((tmp_path / "failures.log").read_text().splitlines()) == 2 + 3 + 3


@pytest.mark.parametrize("mode", ["plain", "quiet"])
def test_the_first_traceback_is_shown_once_and_whole(mode: str) -> None:
    page = Screen(file=io.StringIO(), width=40, force_terminal=False, highlight=False)
    history = History()
    console = Console(history, mode, 300.0, page)
    history.on_start(make_plan(), WORKERS)
    console.on_failure(failure(0, "killed", "worker lost"))
    long = f"{TRACEBACK}{'x' * 100}"
    console.on_failure(replace(failure(1), traceback=long))
    console.on_failure(failure(2))
    assert isinstance(page.file, io.StringIO)
    text = page.file.getvalue()
    assert text.count("Traceback") == text.count(long) == (1 if mode == "plain" else 0)


def test_the_summary_counts_each_kind_and_the_farewell_says_so(tmp_path: Path) -> None:
    history = History()
    Play([history], fail_slice=None, diverge_slice=None).run()
    for number, kind in enumerate(FAILURE_KINDS[:3] * 2):
        history.on_failure(replace(failure(number, kind=kind), slice=None))
    summary = summarise(history, {})
    assert summary["failures"]["kinds"] == dict.fromkeys(FAILURE_KINDS[:3], 2)
    assert summary["diverged"] == 0
    page = Screen(file=io.StringIO(), width=200, force_terminal=False, highlight=False)
    print_summary(summary, tmp_path, "plain", page)
    assert isinstance(page.file, io.StringIO)
    text = page.file.getvalue()
    assert "failures 6 (2 worker lost, 2 worker hung, 2 out of host memory)" in text
    assert "diverged" not in text


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e300, -1.7e308, 1.7e308])
def test_every_file_and_the_table_take_numbers_at_the_edge(tmp_path: Path, score: float) -> None:
    history = History()
    observers = make_observers(tmp_path, history, "quiet", 60.0)
    page = Screen(file=io.StringIO(), width=100, force_terminal=False, highlight=False)
    play = Play([*observers, Console(history, "plain", 1.0, page)], fail_slice=None)
    finish = play.tell.on_slice

    def on_slice(record: SliceRecord) -> None:
        finish(replace(record, score=score, metrics={"val/acc": score, "train/loss": score}))

    play.tell.on_slice = on_slice  # type: ignore[method-assign]
    play.run()
    summary = write_final(tmp_path, history, {})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    read = json.loads((tmp_path / "summary.json").read_text(), parse_constant=refuse)
    print_summary(summary, tmp_path, "plain", page)
    assert (read["winner"] is None) == (read["best"] is None) == (not math.isfinite(score))
    assert read["diverged"] == (0 if math.isfinite(score) else 24)
    assert isinstance(page.file, io.StringIO)
    assert max(map(len, page.file.getvalue().splitlines())) <= 100
