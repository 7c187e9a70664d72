"""The commands that measure cores and parts of GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu_sharing import NO_GPU, orders, row
from benchmarks.together import Done

ROOT = Path(__file__).resolve().parents[2]


def run(command: str) -> subprocess.CompletedProcess[str]:
    """A benchmark, on a machine whose GPUs are hidden."""
    return subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "120"},
    )  # fmt: skip


@pytest.mark.torch
def test_without_a_gpu_sharing_one_is_refused_in_one_line() -> None:
    done = run("benchmarks.gpu_sharing")
    assert (done.returncode, done.stderr, done.stdout) == (2, NO_GPU + "\n", "")


def test_processes_on_a_gpu_are_workers_with_parts_of_it() -> None:
    first, second = orders(2, cpus=3, iterations=50, seconds=1.0)
    assert (first.worker.kind, first.worker.gpus, first.worker.on_gpu) == ("gpu/2", 0.5, True)
    assert first.share is not None
    assert (first.share.cpus, first.share.total) == (3, 6)
    assert first == second


def test_speeds_add_up_over_the_processes() -> None:
    cells, alone = row([Done(100, 10.0, "0")], batch=32, alone=None)
    assert (cells, alone) == (["1", "1", "320", "320", "1"], 320.0)
    cells, _ = row([Done(60, 10.0, "0"), Done(50, 10.0, "")], batch=32, alone=alone)
    assert cells == ["2", "0.5", "160-192", "352", "1.10"]


@pytest.mark.soak
@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_cores_are_measured() -> None:
    done = run("benchmarks.cores --batch 16 --iterations 1 --seconds 0.3 --rounds 1")
    if "other processes keep to the cores" in done.stderr:
        pytest.skip("a run beside the tests keeps to the cores")
    assert done.returncode == 0, done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in cells[:3]] for cells in rows] == [
        ["2", "1", "own"], ["2", "1", "any"], ["1", "1", "own"],
        ["1", "1", "any"], ["1", "2", "own"], ["1", "2", "any"],
    ]  # fmt: skip
    assert all(int(cell) > 0 for cells in rows for cell in cells[3:])
