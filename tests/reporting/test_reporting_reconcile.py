"""``slices.csv`` after a crash, made to say what the event log says; and the other reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from reporting_play import make_plan
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hrfs.experiment.records import ExploitRecord, SliceRecord, WorkerInfo
from hrfs.reporting import History, SliceCsv, TensorBoard, read_slices
from hrfs.reporting.event_file import EventFile, whole_bytes
from hrfs.reporting.slices_reconcile import reconcile

PLAN = make_plan(trials=2)
RECORDS = [
    SliceRecord(
        n, n % 2, "w", float(n), n + 1.0 / 3.0, n // 2 * 5, n // 2 * 5 + 5,
        worker_kind="cpu", score=0.1 * n, metrics={"val/acc": 0.1 * n}, hyperparameters={"lr": 0.5},
    )
    for n in range(4)
]  # fmt: skip
WORKERS = [WorkerInfo("w", "cpu", "here", 1.0)]


def write(path: Path, records: list[SliceRecord]) -> None:
    csv = SliceCsv(path)
    csv.on_start(PLAN, WORKERS)
    for record in records:
        csv.on_slice(record)
    csv.on_end(9.0)


def test_a_file_that_agrees_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    write(path, RECORDS)
    before = path.stat().st_mtime_ns
    assert reconcile(path, RECORDS) == ""
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (RECORDS, "1 rows too many"),
        (RECORDS[:1], "2 rows missing"),
        ([RECORDS[0], RECORDS[3]], "1 rows too many, 2 rows missing"),
        ([RECORDS[1], RECORDS[0], RECORDS[2]], "rows in another order"),
    ],
)
def test_rows_are_put_right(tmp_path: Path, found: list[SliceRecord], told: str) -> None:
    path = tmp_path / "slices.csv"
    write(path, found)
    assert reconcile(path, RECORDS[:3]) == told
    assert read_slices(path) == RECORDS[:3]


def test_a_file_that_is_torn_foreign_or_gone_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    assert reconcile(path, RECORDS) == "there was no file, 4 rows missing"
    path.write_bytes(path.read_bytes() + b"4,0,w")
    assert reconcile(path, RECORDS) == "a torn line"
    path.write_bytes(bytes(50))
    assert reconcile(path, RECORDS).startswith("it could not be read (is no slices.csv")
    assert read_slices(path) == RECORDS


def test_what_is_put_right_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    reconcile(path, RECORDS[:3])
    write(path, RECORDS[3:])
    assert read_slices(path) == RECORDS


def test_a_history_that_goes_on_keeps_what_it_was_told(tmp_path: Path) -> None:
    history = History()
    history.on_start(PLAN, [])
    for record in RECORDS[:3]:
        history.on_slice(record)
    exploit = ExploitRecord(1.0, 0, 1, 5, 5, {"lr": 0.5}, {"lr": 0.6}, {"lr": "x1.2"})
    history.on_exploit(exploit)
    history.on_workers(2.0, [WorkerInfo("gone", "cpu", "there", 1.0)], [])
    history.on_start(PLAN, WORKERS)
    assert history.trials[0].iterations == 10
    assert history.trials[0].lineage == ((1, 5),)
    assert history.present == {"w"}
    assert list(history.workers) == ["gone", "w"]


def test_tensorboard_goes_on_behind_a_torn_record(tmp_path: Path) -> None:
    def run(records: list[SliceRecord], before: list[SliceRecord]) -> None:
        history = History()
        history.on_start(PLAN, [])
        for record in before:
            history.on_slice(record)
        board = TensorBoard(tmp_path, history)
        for observer in (history, board):
            observer.on_start(PLAN, WORKERS)
        for record in records:
            for observer in (history, board):
                observer.on_slice(record)

    run(RECORDS[:2], [])
    (file,) = (tmp_path / "trial_00").glob("events*")
    whole = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-3])
    assert whole_bytes(file) < whole - 3
    run(RECORDS[2:], RECORDS[:2])
    (file,) = (tmp_path / "trial_00").glob("events*")
    assert whole_bytes(file) == file.stat().st_size
    events = EventAccumulator(str(tmp_path / "trial_00"))
    events.Reload()
    assert [event.step for event in events.Scalars("val/acc")] == [5, 10]
    experiment = EventAccumulator(str(tmp_path / "experiment"))
    experiment.Reload()
    assert [event.step for event in experiment.Scalars("score/best")] == [5, 10, 15, 20]
    assert len(experiment.Tensors("run")) == 1, "what stands at the beginning stands there once"


def test_a_new_event_file_does_not_go_on(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    assert not file.goes_on
    file.flush()
    assert EventFile(tmp_path).goes_on
