"""A real sweep over seeds, from the command line to its figures."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SWEEP = (
    "-m", "experiment=smoke", "seed=0,1", "hydra.sweep.dir=sweep",
    "population.stop_iterations=8", "report.console=plain",
)  # fmt: skip


def _python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_seeds_are_summed_up(tmp_path: Path) -> None:
    done = _python("hrfs", *SWEEP, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all runs: seeds 0, 1" in done.stdout
    sweep = tmp_path / "sweep"
    told = json.loads((sweep / "summary.json").read_text())
    runs = [json.loads((sweep / str(n) / "summary.json").read_text()) for n in (0, 1)]
    assert [run["seed"] for run in runs] == [0, 1]
    (group,) = told["groups"]
    for name, values in {
        "best": [run["best"]["score"] for run in runs],
        "winner": [run["winner"]["score"] for run in runs],
        "test/acc": [run["test"]["test/acc"] for run in runs],
        "makespan_s": [run["makespan_s"] for run in runs],
        "ratio": [run["makespan_s"] / run["bound_s"] for run in runs],
        "worker_h": [run["worker_s"] / 3600 for run in runs],
        "iterations": [4 * 8, 4 * 8],
    }.items():
        figure = group["metrics"][name]
        assert list(figure["values"].values()) == pytest.approx(values)
        assert figure["mean"] == pytest.approx(statistics.mean(values))
        assert figure["std"] == pytest.approx(statistics.stdev(values), abs=1e-12)
    assert told["left_out"] == []
    written = (sweep / "summary.json").read_bytes()
    (sweep / "summary.json").unlink()
    again = _python("hrfs.summary", "sweep", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (sweep / "summary.json").read_bytes() == written
