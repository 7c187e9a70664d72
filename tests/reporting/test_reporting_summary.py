"""summary.json and the figures in it, against hand-made runs and against the slices."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reporting_play import WORKERS, Play, make_plan

from hrfs.experiment.launch import Outcome
from hrfs.experiment.records import FailureRecord, SliceRecord
from hrfs.reporting import (
    History,
    check_consistency,
    make_observers,
    read_slices,
    summarise,
    write_final,
)
from hrfs.reporting.figures import bound_s, migrations, time_to_target_s
from hrfs.reporting.spread import spread


def piece(
    number: int, trial: int, worker: str, start_s: float, end_s: float, begin: int, to: int
) -> SliceRecord:
    return SliceRecord(number, trial, worker, start_s, end_s, begin, to, score=to / 100)


TWO_TRIALS = [
    piece(0, 0, "fast", 10.0, 12.0, 0, 20),
    piece(1, 1, "slow", 10.0, 15.0, 0, 10),
    piece(2, 0, "fast", 12.0, 13.0, 20, 30),
    piece(3, 1, "fast", 16.0, 18.0, 10, 30),
]
"""fast: 50 iterations in 5 s; slow: 10 in 5 s; makespan 8 s."""


def test_bound_of_a_hand_made_run() -> None:
    # speeds 10 and 2 per second, 30 iterations twice: max(30 / 10, 60 / 12) = 5 s
    assert bound_s(TWO_TRIALS) == pytest.approx(5.0)
    # one trial alone: the slow worker cannot help it
    assert bound_s([TWO_TRIALS[0], TWO_TRIALS[2]]) == pytest.approx(3.0)
    assert bound_s([]) is None


def test_migrations_count_changes_of_worker() -> None:
    assert migrations(TWO_TRIALS) == 1
    assert migrations(TWO_TRIALS[::-1]) == 1


def test_spread_is_weighted_by_time() -> None:
    # apart: 0 for 2 s, 20 for 1 s, 30 for 2 s, 20 for 3 s until trial 1 is done at 18 s
    found = spread(TWO_TRIALS, trials=2)
    assert found is not None
    assert found.mean_iterations == pytest.approx((0 * 2 + 20 * 1 + 30 * 2 + 20 * 3) / 8)
    assert found.largest_iterations == 30
    assert spread([], trials=2) is None


@pytest.mark.parametrize(
    ("target", "mode", "seconds"),
    [
        (0.2, "max", 2.0),
        (0.25, "max", 3.0),
        (0.9, "max", None),
        (None, "max", None),
        (0.15, "min", 5.0),
    ],
)
def test_time_to_target(target: float | None, mode: str, seconds: float | None) -> None:
    assert time_to_target_s(TWO_TRIALS, target, mode) == seconds


def played(**changes: Any) -> History:
    history = History()
    Play([history], **changes).run()
    return history


def test_a_played_run_is_consistent_and_its_ratio_is_at_least_one() -> None:
    history = played()
    summary = summarise(history, {"test/acc": 0.75})
    assert check_consistency(history.records, summary) == []
    assert summary["status"] == "finished"
    assert summary["ratio"] == pytest.approx(summary["makespan_s"] / summary["bound_s"])
    assert summary["ratio"] >= 1
    assert summary["trials"]["finished"] == 4
    assert summary["iterations"] == 160
    assert summary["test"] == {"test/acc": 0.75}
    assert summary["winner"]["trial"] == summary["best"]["trial"] == 3
    assert summary["winner"]["iteration"] == 40
    assert summary["failures"] == {
        "count": 1,
        "kinds": {"worker lost": 1},
        "reasons": {"killed": 1},
    }
    assert summary["diverged"] == 1
    assert summary["exploits"] == 1
    assert summary["emulated"] is True
    assert summary["cluster"].startswith("emulated")
    assert summary["labels"]["batch_size"] == 512
    assert summary["seed"] == 3
    assert sum(kind["share"] for kind in summary["worker_kinds"].values()) == pytest.approx(1)
    busy = sum(worker["busy_s"] for worker in summary["workers"])
    assert summary["utilisation"] == pytest.approx(busy / (3 * summary["makespan_s"]))
    for worker in summary["workers"]:
        rate = worker["iterations"] / worker["busy_s"]
        assert worker["iterations_per_s"] == pytest.approx(rate)


def test_nan_is_null_in_the_file(tmp_path: Path) -> None:
    history = History()
    observers = make_observers(tmp_path, history, "quiet", 60.0)
    Play(observers).run()
    summary = write_final(tmp_path, history, {"test/acc": math.nan})
    text = (tmp_path / "summary.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == summary
    assert summary["test"] == {"test/acc": None}
    assert check_consistency(read_slices(tmp_path / "slices.csv"), summary) == []


def test_an_empty_run_has_nulls_and_reasons() -> None:
    history = History()
    history.on_start(make_plan(), WORKERS)
    history.on_failure(FailureRecord(1.0, None, None, "box-gpu-0", "node died"))
    history.on_end(2.0)
    summary = summarise(history, {}, Outcome("gave up", None, None, {}, "no worker left"))
    assert summary["status"] == "gave up"
    assert summary["reason"] == "no worker left"
    for key in ("best", "test", "makespan_s", "bound_s", "ratio", "utilisation", "spread"):
        assert summary[key] is None, key
    assert summary["winner"] is None
    assert summary["test_reason"] == "no worker left"
    assert summarise(history, {})["test_reason"] == "no trial has a finite score"
    assert summary["trials"]["unfinished"] == 4
    assert check_consistency([], summary) == []
    json.dumps(summary, allow_nan=False)


def test_a_run_cut_short_counts_the_work_that_was_done() -> None:
    history = History()
    Play([history]).run(most_slices=6)
    summary = summarise(history, {})
    assert summary["status"] == "interrupted"
    assert summary["test_reason"] == "the winner was not tested"
    assert check_consistency(history.records, summary) == []
    assert summary["bound_s"] < summary["makespan_s"]


def test_the_winner_has_the_best_last_score_not_the_best_ever() -> None:
    history = History()
    history.on_start(make_plan(), WORKERS)
    scores = [(0, 0.9, 5), (1, 0.7, 5), (2, 0.7, 5), (0, 0.6, 10), (3, math.nan, 5)]
    reached = dict.fromkeys(range(4), 0)
    for number, (trial, score, to) in enumerate(scores):
        begin, reached[trial] = reached[trial], to
        record = piece(number, trial, "box-cpu-0", number, number + 1.0, begin, to)
        history.on_slice(replace(record, score=score))
    summary = summarise(history, {})
    assert summary["best"]["trial"] == 0
    assert (summary["winner"]["trial"], summary["winner"]["score"]) == (1, 0.7)
    assert check_consistency(history.records, summary) == []
    told = summarise(history, {}, Outcome("finished", 2, 0.7, {}, "the winner could not be tested"))
    assert told["winner"]["trial"] == 2
    assert told["test_reason"] == "the winner could not be tested"
    assert check_consistency(history.records, told) == []


def lie(history: History, kind: str) -> tuple[list[SliceRecord], dict[str, Any]]:
    records, summary = list(history.records), summarise(history, {})
    if kind == "lost":
        del records[4]
    elif kind == "twice":
        records.append(records[-1])
    elif kind == "overlap":
        last = records[-1]
        records[-1] = replace(last, start_s=last.start_s - 0.5)
    elif kind == "backwards":
        records[-1] = replace(records[-1], end_s=records[-1].start_s - 1)
    elif kind == "score":
        summary["best"]["score"] += 1e-9
    elif kind == "trial":
        summary["best"]["trial"] += 1
    elif kind == "winner":
        summary["winner"] |= {"trial": 0, "score": history.trials[0].last_score}
    elif kind == "last":
        summary["winner"]["score"] = 0.5
    elif kind == "makespan":
        summary["makespan_s"] *= 1.01
    elif kind == "finished":
        summary["trials"]["finished"] -= 1
    return records, summary


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("lost", "but the trial had reached"),
        ("twice", "two slices have the same number"),
        ("overlap", "begins while worker box-cpu-1 is in another slice"),
        ("backwards", "ends before it begins"),
        ("score", "best score is"),
        ("trial", "best trial is"),
        ("winner", "trials [1, 2, 3] end better than the winner 0"),
        ("last", "winner's last score is"),
        ("makespan", "makespan_s: slices say"),
        ("finished", "4 trials reached 40, summary 3"),
    ],
)
def test_the_check_finds_every_kind_of_lie(kind: str, message: str) -> None:
    assert message in "\n".join(check_consistency(*lie(played(), kind)))
