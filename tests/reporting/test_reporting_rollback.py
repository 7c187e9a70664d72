"""Reports of a trial that fell back: what happened stays, and nothing is counted twice."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from reporting_play import make_plan

from hrfs.cli.simulate_run_folder import _notes
from hrfs.experiment.observer import LateObservers
from hrfs.experiment.records import (
    ExploitRecord,
    RollbackRecord,
    SliceRecord,
    WorkerInfo,
    iterations_reached,
)
from hrfs.reporting import History, check_consistency
from hrfs.reporting.slices_reconcile import reconcile
from hrfs.reporting.summary import summarise
from hrfs.reporting.trials_csv import trials_table

PLAN = make_plan(trials=2, stop_iterations=30, interval_iterations=10)
WORKERS = [WorkerInfo("a", "cpu", "here", 1.0), WorkerInfo("b", "cpu", "here", 1.0)]


def done(number: int, trial: int, begin: int, score: float, lr: float = 0.5) -> SliceRecord:
    return SliceRecord(
        number, trial, "ab"[trial], float(number), number + 1.0, begin, begin + 10,
        worker_kind="cpu", score=score, train_s=1.0, hyperparameters={"lr": lr},
    )  # fmt: skip


def back(trial: int, begin: int, to: int, **more: object) -> RollbackRecord:
    values = {"anew": False, "donor": None, "reason": "CheckpointError: planted", **more}
    return RollbackRecord(9.0, trial, begin, to, **values)  # type: ignore[arg-type]


def begun() -> History:
    history = History()
    history.on_start(PLAN, WORKERS)
    return history


def rows(history: History) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(trials_table(history))))


def test_a_trial_that_fell_back_counts_its_iterations_once(tmp_path: Path) -> None:
    history = begun()
    for record in (done(0, 0, 0, 0.1), done(1, 1, 0, 0.3), done(2, 0, 10, 0.2, lr=0.6)):
        history.on_slice(record)
    history.on_rollback(back(0, 20, 10))
    trial = history.trials[0]
    assert (trial.iterations, trial.last_score, trial.lost_iterations) == (10, 0.1, 10)
    assert trial.timeline == [(0, {"lr": 0.5})]
    for number, begin in ((3, 10), (4, 20)):
        history.on_slice(done(number, 0, begin, 0.1 * number, lr=0.6))
    for number, begin in ((5, 10), (6, 20)):
        history.on_slice(done(number, 1, begin, 0.5))
    assert trial.timeline == [(0, {"lr": 0.5}), (10, {"lr": 0.6})]
    assert [(r["iterations"], r["iterations_lost"]) for r in rows(history)] == [
        ("30", "10"),
        ("30", "0"),
    ]
    assert rows(history)[0]["slices/cpu"] == "4", "they happened"
    summary = summarise(history, {})
    assert (summary["iterations"], summary["slices"]) == (60, 7)
    assert summary["rollbacks"] == {"count": 1, "anew": 0, "iterations_lost": 10}
    assert check_consistency(history.records, summary) == []
    assert summary["worker_kinds"]["cpu"]["share"] == 1.0
    assert summary["warnings"] == [
        "trial 0 falls back from iteration 20 to 10, 10 iterations are lost: "
        "CheckpointError: planted"
    ]
    # Its slices.csv is gone on with as it is, and read by the simulator.
    assert reconcile(tmp_path / "slices.csv", history.records).startswith("there was no file")
    assert reconcile(tmp_path / "slices.csv", history.records) == ""
    assert iterations_reached(history.records) == {0: 30, 1: 30}
    note = "Iterations that it did twice, since checkpoints could not be read: 10."
    (told, _) = _notes(history.records, 60, None, set())
    assert told.startswith(note)


def test_iterations_done_twice_without_a_word_are_found() -> None:
    history = begun()
    for record in (done(0, 0, 0, 0.1), done(1, 0, 10, 0.2), done(2, 0, 10, 0.3)):
        history.on_slice(record)
    wrong = check_consistency(history.records, summarise(history, {}))
    assert "10 iterations were done twice, summary 0" in wrong
    assert "iterations: slices say 30, summary 20" in wrong


def test_a_slice_that_begins_where_none_ended_is_found() -> None:
    history = begun()
    history.on_slice(done(0, 0, 0, 0.1))
    history.on_rollback(back(0, 10, 5))
    history.on_slice(done(1, 0, 5, 0.2))
    wrong = check_consistency(history.records, summarise(history, {}))
    assert "slice 1 of trial 0 begins at iteration 5, but the trial had reached 10" in wrong


def test_an_exploit_that_came_to_nothing_is_no_ancestor() -> None:
    history = begun()
    for record in (done(0, 0, 0, 0.1), done(1, 1, 0, 0.3)):
        history.on_slice(record)
    exploit = ExploitRecord(2.0, 0, 1, 10, 10, {"lr": 0.5}, {"lr": 0.6}, {"lr": "x1.2"})
    history.on_exploit(exploit)
    assert history.trials[0].lineage == ((1, 10),)
    history.on_rollback(back(0, 10, 10, donor=1))
    trial = history.trials[0]
    assert (trial.lineage, trial.last_score, trial.iterations) == ((), 0.1, 10)
    assert trial.hyperparameters == {"lr": 0.6}, "what was explored is kept"
    (told,) = history.warnings
    assert told.startswith("trial 0 goes on from its own weights of iteration 10 and not from")


def test_a_slice_after_an_exploit_leaves_the_donor_an_ancestor() -> None:
    history = begun()
    for record in (done(0, 0, 0, 0.1), done(1, 1, 0, 0.3)):
        history.on_slice(record)
    history.on_exploit(ExploitRecord(2.0, 0, 1, 10, 10, {"lr": 0.5}, {"lr": 0.6}, {}))
    history.on_slice(done(2, 0, 10, 0.4, lr=0.6))
    history.on_rollback(back(0, 20, 10))
    assert history.trials[0].lineage == ((1, 10),)
    assert history.trials[0].iterations == 10


def test_a_trial_that_begins_anew_has_nothing() -> None:
    history = begun()
    for record in (done(0, 0, 0, 0.1), done(1, 0, 10, 0.2)):
        history.on_slice(record)
    history.on_rollback(back(0, 20, 0, anew=True))
    trial = history.trials[0]
    assert (trial.iterations, trial.last_score, trial.last_worker, trial.timeline) == (
        0, None, None, [],
    )  # fmt: skip
    assert history.warnings[0].startswith("trial 0 BEGINS ANEW, no older checkpoint is left, 20")
    assert summarise(history, {})["rollbacks"]["anew"] == 1


@pytest.mark.parametrize("late", [False, True])
def test_several_observers_are_told(late: bool) -> None:
    history = begun()
    history.on_slice(done(0, 0, 0, 0.1))
    if late:
        watch = LateObservers([history])
        watch.on_rollback(back(0, 10, 0))
        assert history.rollbacks == []
        watch.flush()
    else:
        history.on_rollback(back(0, 10, 0))
    assert len(history.rollbacks) == 1
