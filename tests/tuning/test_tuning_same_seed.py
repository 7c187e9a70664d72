"""With one worker a seed decides everything: two runs differ in nothing but their times."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from harness import make_plan, named

from hrfs.core.policies import POLICIES
from hrfs.core.search_space import Choice, Hyperparameter, Uniform
from hrfs.experiment.launch import RunnerSpec, SchedulerChoice
from hrfs.experiment.plan import Plan

pytestmark = pytest.mark.ray

SHORT = ("hrfs",)
"""Policies that are tried in CI too."""
MEASURED = ("start_s", "end_s", "load_s", "train_s", "evaluate_s", "save_s", "wait_s")


def rows_of(out_dir: Path) -> list[dict[str, str]]:
    """``slices.csv`` without what was measured in seconds."""
    with (out_dir / "slices.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        for name in MEASURED:
            assert float(row.pop(name)) >= 0.0
    return rows


def last_states(out_dir: Path) -> dict[str, bytes]:
    """The last checkpoint of each trial."""
    states = {}
    for folder in sorted((out_dir / "trials").glob("trial_*")):
        numbered = [f for f in folder.iterdir() if re.fullmatch(r"checkpoint_\d+", f.name)]
        states[folder.name] = (max(numbered) / "state.ckpt").read_bytes()
    return states


def run(out_dir: Path, plan: Plan, policy: str, runner: RunnerSpec) -> Any:
    from hrfs.reporting import History, make_observers
    from hrfs.tuning.run import run_experiment

    observers = make_observers(out_dir, History(), "quiet", 60.0)
    return run_experiment(plan, SchedulerChoice(policy), named("slow"), runner, out_dir, observers)


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [pytest.param(p, marks=() if p in SHORT else pytest.mark.soak) for p in sorted(POLICIES)],
)
def test_decisions_do_not_follow_the_clock(ray_cluster: Any, tmp_path: Path, policy: str) -> None:
    plan = make_plan(trials=8, seeds=(3, 1), stop_iterations=60)
    rows = []
    for name, seconds in (("quick", 0.0005), ("sluggish", 0.004)):
        runner = RunnerSpec("toys:build_adder", {"seconds": seconds})
        assert run(tmp_path / name, plan, policy, runner).status == "finished"
        rows.append(rows_of(tmp_path / name))
    assert any(row["parent"] for row in rows[0]), "without an exploit little is compared"
    assert rows[0] == rows[1]


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.torch
def test_training_twice_gives_the_same_weights_to_the_last_bit(
    ray_cluster: Any, tmp_path: Path
) -> None:
    space = {
        "lr": Hyperparameter(Uniform(0.001, 0.3), Uniform(0.0001, 1.0)),
        "momentum": Hyperparameter(Uniform(0.1, 0.9), Choice((0.8, 0.9, 0.99))),
    }
    plan = make_plan(
        trials=4, seeds=(5,), stop_iterations=24, interval_iterations=6, metric="val/acc",
        search_space=space,
    )  # fmt: skip
    settings = {
        "model": {
            "_target_": "hrfs.training.module.ImageClassifier", "network": "small_resnet",
            "width": 4, "num_classes": 4, "channels": 1,
        },
        "dataset": {
            "_target_": "hrfs.training.data.ImageData", "name": "synthetic", "samples": 96,
            "num_classes": 4, "channels": 1, "image_size": 8, "batch_size": 16, "augment": True,
        },
        "seed": 5,
    }  # fmt: skip
    runner = RunnerSpec(
        "hrfs.training.runner:build", settings, "hrfs.training.final:evaluate_winner"
    )
    outcomes = [run(tmp_path / name, plan, "hrfs", runner) for name in ("one", "two")]
    assert outcomes[0].test_metrics == outcomes[1].test_metrics != {}
    one, two = rows_of(tmp_path / "one"), rows_of(tmp_path / "two")
    assert any(row["parent"] for row in one), "without an exploit little is compared"
    assert one == two
    states = [last_states(tmp_path / name) for name in ("one", "two")]
    assert set(states[0]) == {f"trial_{trial:02d}" for trial in range(4)}
    assert len(set(states[0].values())) > 1
    assert states[0] == states[1]
