"""A disk that fails does not end the run, is told once, and is tried again."""

from __future__ import annotations

import json
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from reporting_play import WORKERS, Play, make_plan
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hrfs.experiment.files import append
from hrfs.experiment.observer import Observer
from hrfs.experiment.records import SliceRecord
from hrfs.reporting import (
    History,
    SliceCsv,
    check_consistency,
    make_observers,
    read_slices,
    write_final,
)
from hrfs.reporting.durable import WriteGuard


@contextmanager
def files_at_most(size_bytes: int) -> Iterator[None]:
    """A full disk: the kernel refuses writes beyond ``size_bytes`` of any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class MendsFolder(Observer):
    """Removes the file that stands where the folder should be, after some slices."""

    def __init__(self, obstacle: Path, after_slices: int) -> None:
        self.obstacle, self.left = obstacle, after_slices

    def on_slice(self, record: SliceRecord) -> None:
        self.left -= 1
        if self.left == 0:
            self.obstacle.unlink()


def test_a_torn_write_is_cut_off_and_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    size = append(path, 0, b"whole\n")
    with files_at_most(10), pytest.raises(OSError, match="File too large"):
        append(path, size, b"a long second line\n")
    assert path.read_bytes() == b"whole\n"
    append(path, size, b"a long second line\n")
    assert path.read_bytes() == b"whole\na long second line\n"


def test_nothing_is_lost_when_the_folder_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out_dir, history = tmp_path / "out", History()
    out_dir.write_text("in the way")
    observers = make_observers(out_dir, history, "quiet", 60.0)
    with caplog.at_level(logging.INFO, logger="hrfs"):
        Play([MendsFolder(out_dir, 6), *observers]).run()
    summary = write_final(out_dir, history, {})
    back = read_slices(out_dir / "slices.csv")
    assert [r.slice for r in back] == [r.slice for r in history.records]
    assert check_consistency(back, summary) == []
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert sum("slices.csv cannot be written" in line for line in told) == 1
    assert "training goes on and the write is tried again at the next event" in told[0]
    assert "slices.csv is written again" in caplog.text
    assert summary["warnings"] == told
    assert json.loads((out_dir / "summary.json").read_text())["warnings"] == told
    reader = EventAccumulator(str(out_dir / "tensorboard" / "experiment"))
    reader.Reload()
    assert len(reader.Scalars("exploits")) == len(history.records)


def test_a_disk_that_stays_full_is_told_once_per_file(tmp_path: Path) -> None:
    history = History()
    with files_at_most(600):
        Play(make_observers(tmp_path, history, "quiet", 60.0)).run()
        summary = write_final(tmp_path, history, {"test/acc": 0.5})
    assert len(history.records) > 10
    for name in ("slices.csv", "summary.json"):
        assert sum(f"{name} cannot be written: File too large" in w for w in history.warnings) == 1
    assert summary["slices"] == len(history.records)
    assert len(read_slices(tmp_path / "slices.csv")) < len(history.records)


def test_a_disk_that_is_full_while_the_file_is_widened(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    writer = SliceCsv(path)
    writer.on_start(make_plan(), WORKERS)
    rows = [
        SliceRecord(number, 0, "w", 0.1, 0.3, 5 * number, 5 * number + 5, metrics={name: 0.5})
        for number, name in enumerate(["loss", "loss", "new", "loss"])
    ]
    writer.on_slice(rows[0])
    with files_at_most(path.stat().st_size):
        writer.on_slice(rows[1])
        writer.on_slice(rows[2])
        assert read_slices(path) == rows[:1]
    writer.on_slice(rows[3])
    assert read_slices(path) == rows


def test_other_errors_are_not_swallowed(tmp_path: Path) -> None:
    def wrong() -> None:
        raise KeyError("a fault of ours")

    with pytest.raises(KeyError):
        WriteGuard(tmp_path).attempt(wrong)
