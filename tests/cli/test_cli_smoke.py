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
                 "summary.json", "hrfs.log", "winner.ckpt"):  # fmt: skip
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
