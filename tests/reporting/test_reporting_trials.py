"""The history and trials.csv: lineage, hyperparameters over time, seconds by kind, status."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from reporting_play import WORKERS, Play, make_plan

from hrfs.experiment.records import ExploitRecord, FailureRecord, SliceRecord, WorkerInfo
from hrfs.reporting import History, TrialsCsv


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def played(tmp_path: Path) -> tuple[History, list[dict[str, str]]]:
    history, path = History(), tmp_path / "trials.csv"
    Play([history, TrialsCsv(path, history)]).run()
    return history, rows_of(path)


def started(trials: int = 4, **changes: object) -> History:
    history = History()
    history.on_start(make_plan(trials, **changes), WORKERS)
    return history


def score(history: History, trial: int, value: float | None, end_s: float, to: int = 5) -> None:
    number = len(history.records)
    before = history.trials[trial].iterations
    history.on_slice(
        SliceRecord(number, trial, "box-cpu-0", end_s - 1, end_s, before, to, score=value)
    )


def exploit(history: History, trial: int, donor: int, iteration: int) -> None:
    values = {"lr": 0.1, "momentum": 0.9}
    history.on_exploit(
        ExploitRecord(1.0, trial, donor, iteration, 20, before=values, after=values, operations={})
    )


def test_lines_agree_with_the_records(tmp_path: Path) -> None:
    history, rows = played(tmp_path)
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    for row in rows:
        mine = [r for r in history.records if r.trial == int(row["trial"])]
        finite = [r.score for r in mine if r.score is not None and math.isfinite(r.score)]
        assert row["status"] == "finished"
        assert row["iterations"] == "40"
        assert float(row["best_score"]) == max(finite)
        assert float(row["last_score"]) == mine[-1].score
        assert int(row["slices/cpu"]) + int(row["slices/gpu:A100"]) == len(mine)
        seconds = float(row["seconds/cpu"]) + float(row["seconds/gpu:A100"])
        assert seconds == pytest.approx(sum(r.duration_s for r in mine))
        first = json.loads(row["hyperparameters"])[0]
        assert first == [0, make_plan().initial_hyperparameters(int(row["trial"]))]
    assert sum(int(row["failures"]) for row in rows) == 1


def test_an_exploit_is_in_the_line_of_both_trials(tmp_path: Path) -> None:
    history, rows = played(tmp_path)
    (done,) = history.exploits
    taker, donor = rows[done.trial], rows[done.donor]
    assert taker["exploits_taken"] == donor["exploits_given"] == "1"
    assert taker["lineage"] == f"{done.trial}<-{done.donor}@{done.iteration}"
    assert donor["lineage"] == str(done.donor)
    changes = json.loads(taker["hyperparameters"])
    assert [at for at, _ in changes] == [0, done.iteration]
    assert changes[1][1] == dict(done.after)


def test_lineage_follows_the_weights_not_the_trial(tmp_path: Path) -> None:
    history = started()
    exploit(history, trial=3, donor=1, iteration=10)  # soon overwritten
    exploit(history, trial=2, donor=0, iteration=10)
    exploit(history, trial=3, donor=2, iteration=20)
    exploit(history, trial=2, donor=1, iteration=30)  # after trial 3 took its weights
    TrialsCsv(tmp_path / "trials.csv", history).write()
    lineage = [row["lineage"] for row in rows_of(tmp_path / "trials.csv")]
    assert lineage == ["0", "1", "2<-1@30", "3<-2@20<-0@10"]


@pytest.mark.parametrize(
    ("iterations", "reason", "status"),
    [
        (40, "all iterations done", "finished"),
        (5, "target score reached", "stopped"),
        (5, "error: out of memory three times", "error"),
        (5, "gave up: killed three times", "error"),
        (5, None, "unfinished"),
    ],
)
def test_status_says_how_a_trial_ended(iterations: int, reason: str | None, status: str) -> None:
    history = started()
    score(history, 1, 0.5, 1.0, to=iterations)
    if reason is not None:
        history.on_trial_end(2.0, 1, reason)
    assert history.trials[1].status(40) == status


def test_best_ignores_nan_and_takes_the_earliest_of_equals() -> None:
    history = started()
    assert history.best() is None
    score(history, 0, math.nan, 1.0)
    score(history, 3, None, 2.0)
    assert history.best() is None
    score(history, 2, 0.9, 5.0)
    score(history, 1, 0.9, 4.0)
    score(history, 1, 0.9, 6.0, to=10)
    best = history.best()
    assert best is not None
    assert (best.trial, best.end_s) == (1, 4.0)


def test_best_is_the_least_where_less_is_better() -> None:
    history = started(mode="min", metric="val/loss")
    score(history, 0, 0.5, 1.0)
    score(history, 1, 0.2, 2.0)
    score(history, 2, -math.inf, 3.0)
    best = history.best()
    assert best is not None
    assert best.trial == 1


def test_running_slices_end_with_a_result_a_failure_or_their_worker() -> None:
    history = History()
    Play([history], fail_slice=None).start()
    assert sorted(history.running) == ["box-cpu-0", "box-cpu-1", "box-gpu-0"]
    lost = history.running["box-cpu-0"]
    history.on_failure(FailureRecord(1.0, lost.slice, lost.trial, "box-cpu-0", "killed"))
    history.on_workers(2.0, [WorkerInfo("new", "cpu", "box2", 4)], ["box-cpu-1"])
    assert sorted(history.running) == ["box-gpu-0"]
    assert history.present == {"box-gpu-0", "box-cpu-0", "new"}
    assert list(history.workers) == ["box-gpu-0", "box-cpu-0", "box-cpu-1", "new"]


def test_a_killed_run_has_the_file(tmp_path: Path) -> None:
    history, path = History(), tmp_path / "trials.csv"
    writer = TrialsCsv(path, history)
    Play([history, writer]).run(most_slices=2)
    first = path.read_text()
    assert first.count("unfinished") == 4
    writer.on_tick(29.0)
    assert path.read_text() == first
    writer.on_tick(31.0)
    assert path.read_text() != first


def test_a_history_has_no_plan_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="no plan before on_start"):
        History().plan  # noqa: B018 - the property raises
