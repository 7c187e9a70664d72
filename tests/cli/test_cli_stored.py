"""A run of each released format of the event log is read, and goes on to its end.

``tests/stored/make_run.py`` made them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hrfs.cli.build import build_plan
from hrfs.cli.resume_config import read_choices, read_config
from hrfs.core.invariants import check
from hrfs.experiment.event_log import EVENTS_NAME, FORMAT, parse_log
from hrfs.experiment.event_replay import rebuild
from hrfs.reporting import check_consistency, read_slices

ROOT = Path(__file__).resolve().parents[2]
STORED = {
    int(folder.name.rpartition("_")[2]): folder
    for folder in (ROOT / "tests" / "stored").glob("run_format_*")
}


def copy_of(number: int, tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORED[number], tmp_path / "run"))


def test_there_is_one_of_every_format() -> None:
    assert sorted(STORED) == list(range(1, FORMAT + 1))
    for folder in STORED.values():
        kept = [path for path in folder.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in kept) < 250_000, "it is in the repository"
        log = (folder / "trials" / EVENTS_NAME).read_text()
        assert '"/' not in log, "paths are relative"


@pytest.mark.parametrize("number", STORED)
def test_the_log_leads_to_the_state_and_its_checkpoints(number: int, tmp_path: Path) -> None:
    folder = copy_of(number, tmp_path)
    plan = build_plan(read_config(folder, ()), read_choices(folder))
    root = folder / "trials"
    log = parse_log((root / EVENTS_NAME).read_bytes(), EVENTS_NAME, str(root))
    assert not log.torn
    replay = rebuild(log, EVENTS_NAME, plan, "hrfs")
    check(replay.core)
    assert len(replay.under_way()) == 1
    done = {n: trial.iteration for n, trial in replay.core.state.trials.items()}
    records = [entry.facts["record"] for entry in log.entries if "record" in entry.facts]
    assert done == {record["trial"]: record["to_iteration"] for record in records}
    for paths in replay.kept.values():
        assert paths
        assert all((Path(path) / "state.ckpt").is_file() for path in paths)


def resume(folder: Path) -> str:
    """Go on to the end, in a process and a cluster of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", f"resume={folder}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    summary = json.loads((folder / "summary.json").read_text())
    assert check_consistency(read_slices(folder / "slices.csv"), summary) == []
    assert (summary["status"], summary["trials"]["finished"]) == ("finished", 3)
    assert summary["iterations"] == 3 * 24
    return done.stdout


@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.parametrize("number", STORED)
def test_it_goes_on_to_its_end(number: int, tmp_path: Path) -> None:
    folder = copy_of(number, tmp_path)
    before = read_slices(folder / "slices.csv")
    resume(folder)
    assert read_slices(folder / "slices.csv")[: len(before)] == before
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["rollbacks"] == {"count": 0, "anew": 0, "iterations_lost": 0}


def flip(folder: Path) -> None:
    content = bytearray((folder / "state.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "state.ckpt").write_bytes(content)


def cut(folder: Path) -> None:
    os.truncate(folder / "state.ckpt", 1000)


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.timeout(450)
def test_with_damaged_checkpoints_it_goes_on_from_the_ones_before(tmp_path: Path) -> None:
    folder = copy_of(FORMAT, tmp_path)
    plan = build_plan(read_config(folder, ()), read_choices(folder))
    root = folder / "trials"
    log = parse_log((root / EVENTS_NAME).read_bytes(), EVENTS_NAME, str(root))
    replay = rebuild(log, EVENTS_NAME, plan, "hrfs")
    damages: tuple[Callable[[Path], None], ...] = (flip, shutil.rmtree, cut)
    expected = 0
    for number, damage in enumerate(damages):
        damage(Path(replay.kept[number][-1]))
        trial = replay.core.state.trials[number]
        assert trial.before is not None
        assert trial.before.checkpoint is not None
        expected += trial.iteration - trial.before.iteration

    resume(folder)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["rollbacks"] == {"count": 3, "anew": 0, "iterations_lost": expected}
    assert summary["failures"]["kinds"] == {"checkpoint damaged": 3}
    for number in range(3):
        told = [line for line in summary["warnings"] if line.startswith(f"trial {number} ")]
        assert len(told) == 1, summary["warnings"]
        assert "CheckpointError: checkpoint " in told[0]
        assert (folder / "hrfs.log").read_text().count(told[0]) == 1
