"""Under hydra-optuna-sweeper the returned number is the objective, in resumed sweeps too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
APP = """
import os
import hydra


@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    with open("count.txt", "a") as file:
        print(cfg.x, file=file)
    return (cfg.x - 2) ** 2


if __name__ == "__main__":
    main()
"""
TRIALS = 4

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("hydra_plugins") is None
        or find_spec("hydra_plugins.hydra_optuna_sweeper") is None,
        reason="needs pip install -e '.[optuna]'",
    ),
]


def _sweep(folder: Path, *words: str) -> tuple[str, dict[str, object]]:
    """What a sweep printed and Optuna's own result of it."""
    done = subprocess.run(
        [
            sys.executable, "my_app.py", "-m", "hydra/sweeper=optuna", "+x=interval(-5,5)",
            f"hydra.sweeper.n_trials={TRIALS}", "hydra.sweeper.n_jobs=2",
            "hydra.sweeper.sampler.seed=1", "hydra.sweep.dir=sweep", *words,
        ],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = yaml.safe_load((folder / "sweep" / "optimization_results.yaml").read_text())
    return done.stdout, result


@pytest.mark.soak
def test_the_returned_number_is_the_objective(tmp_path: Path) -> None:
    ray, basic = tmp_path / "ray", tmp_path / "basic"
    for folder in (ray, basic):
        folder.mkdir()
        (folder / "my_app.py").write_text(APP)
    launcher = ["hydra/launcher=ray_tune", "hydra.launcher.init.num_cpus=2"]

    _, found = _sweep(ray, *launcher)
    _, expected = _sweep(basic)
    assert found == expected  # the seed draws the same, if told the same objectives
    records = [
        json.loads((ray / "sweep" / str(n) / ".hydra" / f"job_{n}.json").read_text())
        for n in range(TRIALS)
    ]
    best = min(records, key=lambda record: record["return_value"])
    assert found["best_value"] == best["return_value"]
    assert found["best_params"] == {"+x": best["config"]["x"]}
    assert len((ray / "count.txt").read_text().splitlines()) == TRIALS

    (ray / "sweep" / "3" / ".hydra" / "job_3.json").unlink()
    printed, again = _sweep(ray, *launcher, "hydra.launcher.resume=true")
    assert again == expected
    assert len((ray / "count.txt").read_text().splitlines()) == TRIALS + 1
    assert "skipped jobs 0-1: completed before" in printed
    assert "runs job 3: not started before" in printed
