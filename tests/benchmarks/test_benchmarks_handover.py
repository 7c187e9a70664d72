"""The benchmark of real hand-overs: which slices count, and its smallest run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.handover.training import Work, handed_over, share_of_handover, table
from hrfs.experiment.records import SliceRecord

ROOT = Path(__file__).resolve().parents[2]
WORK = Work("resnet18", None, 512, 50, 5, 50_000, 2)


def record(number: int, trial: int, from_iteration: int) -> SliceRecord:
    return SliceRecord(
        number, trial, "worker-0", 10.0 * number, 10.0 * number + 10, from_iteration,
        from_iteration + 50, load_s=0.25, train_s=8.0, evaluate_s=1.5, save_s=0.15, wait_s=0.1,
    )  # fmt: skip


RECORDS = [record(0, 0, 0), record(1, 1, 0), record(2, 0, 50), record(3, 0, 100), record(4, 1, 50)]


def test_slices_count_that_took_up_another_ones_state() -> None:
    assert [r.slice for r in handed_over(RECORDS)] == [2, 4]


def test_all_that_is_neither_training_nor_evaluation_is_hand_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert share_of_handover(RECORDS) == pytest.approx(0.05)
    Console(width=100).print(table(WORK, RECORDS))
    shown = capsys.readouterr().out
    assert re.search(r"load │ +0\.250 │ +0\.250 │ +0\.250 │ +2\.5%", shown)
    assert re.search(r"hand-over .* at most 8% │ +5\.0%", shown)


@pytest.mark.ray
@pytest.mark.slow
def test_it_prints_the_parts_of_a_real_run() -> None:
    command = [
        "-m", "benchmarks.handover", "--network", "small_resnet", "--slices", "4",
        "--iterations", "1", "--batch", "16", "--samples", "200", "--threads", "1",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "2 slices of 1 iterations" in " ".join(done.stdout.split())
    for part in ("load", "train", "evaluate", "save", "wait"):
        assert re.search(rf"{part} │ +0\.\d*[1-9]", done.stdout), part
