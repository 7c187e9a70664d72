"""Training that goes wrong, from the command line to the files, with real processes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "tests" / "training"

pytestmark = [pytest.mark.ray, pytest.mark.torch, pytest.mark.slow]

POPULATION = {
    "size": 3,
    "stop_iterations": 8,
    "interval_iterations": 4,
    "target_score": None,
    "stop_on_target": False,
    "metric": "val/acc",
    "mode": "max",
    "quantile": 0.25,
    "resample_probability": 0.25,
    "search_space": {"lr": ["loguniform", 0.001, 0.5]},
    "mutations": {"lr": ["loguniform", 0.0001, 0.1]},
}
GROUPS: dict[str, dict[str, Any]] = {
    "model": {"_target_": "training_faults.Faulty", "fault": "none", "fail_above_lr": 10.0},
    "dataset": {
        "_target_": "training_faults.FaultyData",
        "batch_size": 8,
        "workers": 0,
        "marker": "/nowhere",
    },
    "population": POPULATION,
    "cluster": {
        "mode": "emulated",
        "emulated": [{"name": "w-0", "kind": "cpu", "slowdown": 1.0, "threads": 1}],
    },
}


def run(folder: Path, *overrides: str) -> tuple[Any, Path]:
    """The finished process, and its output folder."""
    for group, content in GROUPS.items():
        (folder / "conf" / group).mkdir(parents=True)
        (folder / "conf" / group / "bad.yaml").write_text(yaml.safe_dump(content))
    chosen = [f"{group}=bad" for group in GROUPS]
    path = os.pathsep.join([str(ROOT), str(MODULES)])
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", "--config-dir", "conf", *chosen,
         "allowed_targets=[training_faults.]", "hydra.run.dir=out", *overrides],
        cwd=folder, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    return done, folder / "out"


def summary_of(out: Path) -> Any:
    """``summary.json``, read as a strict parser does."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((out / "summary.json").read_text(), parse_constant=refuse)


def statuses(out: Path) -> list[str]:
    with (out / "trials.csv").open() as stream:
        return [row["status"] for row in csv.DictReader(stream)]


@pytest.mark.soak
def test_one_trial_that_raises_and_a_killed_data_loader_end_no_run(tmp_path: Path) -> None:
    marker = tmp_path / "kill"
    marker.touch()
    # With this seed trial 1 alone begins with a rate above 0.2.
    done, out = run(
        tmp_path, "model.fault=raises", "model.fail_above_lr=0.2", "max_failures=2",
        "dataset.workers=1", f"dataset.marker={marker}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not marker.exists()
    assert statuses(out) == ["finished", "error", "finished"]
    summary = summary_of(out)
    assert summary["failures"]["kinds"] in (
        {"data loader": 1, "exception": 3},  # trial 0, the first, lost a process of its loader
        {"data loader": 1, "exception": 2},  # trial 1 did, which was one of its three failures
    )
    assert summary["winner"]["trial"] in (0, 2)
    assert '  File "' in done.stdout, "the first traceback is shown"
    assert done.stdout.count("in _deep_inside") <= 1, "it alone"
    assert "1 data loader" in " ".join(done.stdout.split()), "wherever the line is broken"
    log = (out / "failures.log").read_text()
    shown = log[log.index("exception: ValueError: shapes differ") :]
    assert "runner.py" not in shown
    for name in ("in training_step", "in _deep_inside"):
        assert name in shown


@pytest.mark.soak
def test_all_that_raise_end_the_run_with_a_word_on_where_and_why(tmp_path: Path) -> None:
    done, out = run(tmp_path, "model.fault=raises", "model.fail_above_lr=-1", "max_failures=1")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("hrfs: gave up: the first 2 slices all failed")
    assert "ValueError: shapes differ: (8, 4)" in last
    assert last.endswith("failures.log")
    assert done.stdout.count("Traceback (most recent call last)") == 1
    summary = summary_of(out)
    assert (summary["status"], summary["winner"], summary["best"]) == ("gave up", None, None)


def test_of_a_population_that_diverges_nobody_wins(tmp_path: Path) -> None:
    done, out = run(tmp_path, "model.fault='nan loss'", "population.size=2")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = summary_of(out)
    assert summary["diverged"] == summary["slices"] > 0
    assert (summary["winner"], summary["best"], summary["test"]) == (None, None, None)
    assert f"diverged {summary['slices']}" in done.stdout
    assert "none: no trial has a finite score" in done.stdout
    assert not (out / "winner.ckpt").exists()


@pytest.mark.soak
def test_one_trial_alone_reaches_its_target_in_its_first_slice(tmp_path: Path) -> None:
    done, out = run(
        tmp_path,
        *("population.size=1", "population.target_score=0.0", "population.stop_on_target=true"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = summary_of(out)
    assert summary["slices"] == 1
    assert summary["winner"]["trial"] == summary["best"]["trial"] == 0
    assert summary["time_to_target_s"] == pytest.approx(summary["makespan_s"])
    assert statuses(out) == ["stopped"]
