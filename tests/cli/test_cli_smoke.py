"""The whole path, from the command line to the files."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hrfs.reporting import check_consistency, read_slices

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
def test_smoke_experiment(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", "experiment=smoke", "hydra.run.dir=out"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "emulated" in done.stdout
    assert "winner" in done.stdout
    out = tmp_path / "out"
    for name in ("config.yaml", "overrides.yaml", "environment.json", "slices.csv", "trials.csv",
                 "summary.json", "hrfs.log", "winner.ckpt",
                 "winner.safetensors"):  # fmt: skip
        assert (out / name).is_file(), name
    assert yaml.safe_load((out / "overrides.yaml").read_text()) == ["experiment=smoke"]
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["model"]["num_classes"] == 10  # resolved, not an interpolation
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["status"], summary["trials"]["finished"]) == ("finished", 4)
    assert summary["emulated"] is True
    with (out / "slices.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    steps = sum(int(row["to_iteration"]) - int(row["from_iteration"]) for row in rows)
    assert steps == summary["iterations"] == 4 * 12
    assert len(rows) == summary["slices"]
    assert {row["worker"] for row in rows} == {"gpu-0", "cpu-0"}
    told = json.loads((out / "environment.json").read_text())["workers"]
    assert set(told) == {"gpu-0", "cpu-0"}
    assert told["gpu-0"]["trainer"]["precision"] == "32-true"
    assert told["gpu-0"]["threads"] == 1


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
def test_two_seeds_in_one_run(tmp_path: Path) -> None:
    overrides = ["experiment=smoke", "seeds=[3,1]", "population.size=2"]
    shorter = ["population.stop_iterations=4", "population.interval_iterations=2"]
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", *overrides, *shorter, "hydra.run.dir=out"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 populations of 2, 4 iterations each" in done.stdout
    out = tmp_path / "out"
    winners = sorted(file.name for file in out.glob("winner*"))
    names = ("winner", "winner_seed1", "winner_seed3")
    assert winners == [f"{name}{suffix}" for name in names for suffix in (".ckpt", ".safetensors")]
    summary = json.loads((out / "summary.json").read_text())
    assert check_consistency(read_slices(out / "slices.csv"), summary) == []
    assert (summary["seed"], summary["seeds"]) == (None, [3, 1])
    for population in summary["populations"]:
        assert set(population["test"]) == {"test/acc", "test/loss"}
        assert population["iterations"] == 2 * 4
    best = max(summary["populations"], key=lambda population: population["winner"]["score"])
    assert summary["winner"]["seed"] == best["seed"]
    for suffix in (".ckpt", ".safetensors"):
        exported = (out / f"winner_seed{best['seed']}{suffix}").read_bytes()
        assert (out / f"winner{suffix}").read_bytes() == exported
