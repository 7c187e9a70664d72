"""The disk fills up under a real run: it stops in one line, and goes on once there is space."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_disk import SmallDisk, limit_files, mounted

from hrfs.experiment.event_log import EVENTS_NAME
from hrfs.reporting import check_consistency, read_slices

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "experiment=smoke",
    "population.stop_iterations=16",
    "report.console=plain",
    "cluster.emulated=[{name: only, kind: gpu, slowdown: 2.0, threads: 1}]",
)
MIB = 2**20
pytestmark = [pytest.mark.ray, pytest.mark.torch, pytest.mark.slow, pytest.mark.timeout(1800)]


class Run:
    """``python -m hrfs`` in a process group of its own, which its Ray is part of."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hrfs", *arguments],
            cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def after_slices(self, folder: Path, wanted: int) -> None:
        """Wait until so many slices are in the event log."""
        log, deadline_s = folder / "trials" / EVENTS_NAME, time.monotonic() + 600
        while not log.exists() or log.read_bytes().count(b'"SliceDone"') < wanted:
            assert self.process.poll() is None, "the run ended by itself"
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    def ended(self) -> tuple[int, str]:
        """Exit code and what was said on standard error."""
        _, said = self.process.communicate(timeout=600)
        return self.process.returncode, said


def run(*arguments: str, cwd: Path) -> tuple[int, str]:
    """A run that nobody disturbs."""
    with Run(*arguments, cwd=cwd) as one:
        return one.ended()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    code, said = run(*SMALL, f"hydra.run.dir={folder}", cwd=folder)
    assert code == 0, said
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mounted(tmp_path / "disk", 12 * MIB) as small:
        yield small


def told_once(said: str, folder: Path) -> str:
    """The one line that says why a run stopped and how it goes on: the file and the cause."""
    ending = f"; free space, then python -m hrfs resume={folder} goes on"
    (line,) = [line for line in said.splitlines() if line.endswith(ending)]
    assert "Traceback" not in said
    assert line.startswith(f"hrfs: {folder}/")
    return line.removesuffix(ending)


def trials_of(folder: Path, *but: str) -> list[dict[str, str]]:
    """``trials.csv`` without its seconds."""
    with (folder / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [
        {k: v for k, v in row.items() if not k.startswith("seconds/") and k not in but}
        for row in rows
    ]


def weights_of(folder: Path) -> dict[str, Any]:
    import torch

    state = torch.load(folder / "winner.ckpt", map_location="cpu", weights_only=True)
    weights: dict[str, Any] = state["state_dict"]
    return weights


def ends_as(folder: Path, whole: Path) -> None:
    """The run in ``folder`` came to the same end as the undisturbed one, and its files agree."""
    summary = json.loads((folder / "summary.json").read_text())
    records = read_slices(folder / "slices.csv")
    assert summary["status"] == "finished"
    assert check_consistency(records, summary) == []
    log = (folder / "trials" / EVENTS_NAME).read_text().splitlines()
    done = [json.loads(line)["slice"] for line in log if '"SliceDone"' in line]
    assert done == [record.slice for record in records]
    assert trials_of(folder, "failures") == trials_of(whole, "failures")
    mine, theirs = weights_of(folder), weights_of(whole)
    assert mine.keys() == theirs.keys()
    assert all((mine[name] == theirs[name]).all() for name in theirs)
    left = [path.name for path in folder.rglob(".*.??????*") if path.is_file()]
    assert [name for name in left if not name.startswith(".validate")] == []


@pytest.mark.soak
def test_a_full_disk_stops_the_run_and_nothing_is_lost(disk: SmallDisk, whole: Path) -> None:
    out = disk.folder / "out"
    with Run(*SMALL, "hydra.run.dir=out", cwd=disk.folder) as filled:
        filled.after_slices(out, 4)
        disk.fill()
        code, said = filled.ended()
    assert code == 1, said
    assert "No space left on device" in told_once(said, out)
    log = (out / "trials" / EVENTS_NAME).read_bytes()
    assert log.endswith(b"\n")
    assert [json.loads(line) for line in log.splitlines()]

    with Run("resume=out", cwd=disk.folder) as still_full:
        code, said = still_full.ended()
    assert code in (1, 2), said
    assert "Traceback" not in said
    assert "No space left on device" in said
    assert (out / "trials" / EVENTS_NAME).read_bytes().startswith(log)

    disk.free()
    code, said = run("resume=out", cwd=disk.folder)
    assert code == 0, said
    ends_as(out, whole)


@pytest.mark.soak
def test_saves_that_fail_in_a_row_are_the_disks_fault(disk: SmallDisk, whole: Path) -> None:
    out = disk.folder / "out"
    with Run(*SMALL, "hydra.run.dir=out", "max_failures=0", cwd=disk.folder) as filled:
        filled.after_slices(out, 4)
        disk.fill(leave_bytes=200_000)  # enough for lines, and too little for a checkpoint
        code, said = filled.ended()
    assert code == 1, said
    line = told_once(said, out)
    assert line.endswith("No space left on device (3 saves in a row failed, on every worker)")
    assert "/checkpoint_" in line
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["status"], summary["trials"]["stopped"]) == ("gave up", 0)
    assert summary["reason"] in said
    assert all(row["failures"] in "012" for row in trials_of(out))
    disk.free()
    code, said = run("resume=out", cwd=disk.folder)
    assert code == 0, said
    ends_as(out, whole)


@pytest.mark.soak
def test_a_quota_that_the_event_log_meets(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "out"
    with Run(*SMALL, f"hydra.run.dir={out}", cwd=tmp_path) as filled:
        filled.after_slices(out, 4)
        limit_files(filled.process.pid, (out / "trials" / EVENTS_NAME).stat().st_size + 10)
        code, said = filled.ended()
    assert code == 1, said
    log = out / "trials" / EVENTS_NAME
    assert told_once(said, out) == f"hrfs: {log} cannot be written: File too large"
    assert log.read_bytes().endswith(b"\n")
    code, said = run(f"resume={out}", cwd=tmp_path)
    assert code == 0, said
    ends_as(out, whole)
