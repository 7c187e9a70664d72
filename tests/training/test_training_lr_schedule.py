"""A shaped learning rate in slices: exact over their borders, and out of the checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_helpers import Recorder, own_model, request, same, settings, small_model

from hrfs.training.lr_shapes import LrShape
from hrfs.training.runner import LightningSliceRunner, build
from hrfs.training.state import TrialState, load_state

pytestmark = pytest.mark.torch

STOP = 9
SHAPE = LrShape("one_cycle", STOP, 0.4)
DIGITS = {
    "_target_": "hrfs.training.data.ImageData",
    "name": "digits",
    "batch_size": 16,
    "augment": True,
    "validation_fraction": 0.02,
}


def plain(lr_schedule: str = "one_cycle", **changes: Any) -> dict[str, Any]:
    model = {**small_model(num_classes=10), "_target_": "training_helpers.Recorder"}
    made = settings(
        changes.pop("model", model), DIGITS, lr_schedule=lr_schedule, warmup_fraction=0.4
    )
    return {**made, "stop_iterations": STOP, **changes}


def state_of(runner: LightningSliceRunner, folder: Path) -> TrialState:
    runner.save(folder / "state_of")
    return load_state(folder / "state_of")


@pytest.fixture
def seen() -> dict[str, list[Any]]:
    Recorder.seen = {}
    return Recorder.seen


def test_slices_that_stay_and_that_move_give_bitwise_equal_states(
    tmp_path: Path, seen: dict[str, list[Any]]
) -> None:
    whole = build(plain())
    whole.begin(3)
    metrics = whole.run(request(0, STOP, lr=0.4, momentum=0.9)).metrics
    in_one = [lr for lr, *_ in seen.pop("lr")]
    assert in_one == [0.4 * SHAPE.factor(iteration) for iteration in range(STOP)]
    assert metrics["train/lr"] == in_one[-1]
    cut = build(plain())
    cut.begin(3)
    for start, count in ((0, 2), (2, 1), (3, 4), (7, 2)):
        cut.run(request(start, count, lr=0.4, momentum=0.9))
        cut.save(tmp_path / "moving")
        if start >= 2:
            cut = build(plain())
            cut.load(tmp_path / "moving")
    assert [lr for lr, *_ in seen["lr"]] == in_one
    ended, moved = state_of(whole, tmp_path), load_state(tmp_path / "moving")
    for name in ("state_dict", "optimizer_states", "iteration", "hyper_parameters"):
        assert same(getattr(ended, name), getattr(moved, name)), name


def test_a_mutation_moves_the_peak_and_checkpoints_hold_the_peak(
    tmp_path: Path, seen: dict[str, list[Any]]
) -> None:
    runner = build(plain())
    runner.begin(3)
    runner.run(request(0, 5, lr=0.4, momentum=0.9))
    state = state_of(runner, tmp_path)
    assert state.hyper_parameters["lr"] == 0.4
    assert [group["lr"] for group in state.optimizer_states[0]["param_groups"]] == [0.4]
    assert seen["hparams"] == [0.4] * 5
    other = build(plain())
    other.load(tmp_path / "state_of")
    other.run(request(5, 4, lr=0.1, momentum=0.9))
    assert [lr for lr, *_ in seen["lr"][5:]] == [0.1 * SHAPE.factor(i) for i in range(5, STOP)]


def test_a_trial_that_takes_over_weights_keeps_its_own_place(
    tmp_path: Path, seen: dict[str, list[Any]]
) -> None:
    donor = build(plain())
    donor.begin(3)
    donor.run(request(0, 2, lr=0.4, momentum=0.9))
    donor.save(tmp_path / "donor")
    heir = build(plain())
    heir.load(tmp_path / "donor")
    heir.run(request(6, 2, trial=8, lr=0.4, momentum=0.9))
    assert [lr for lr, *_ in seen["lr"][2:]] == [0.4 * SHAPE.factor(i) for i in (6, 7)]


def test_a_rate_that_is_no_hyperparameter_is_shaped_from_the_models(
    tmp_path: Path, seen: dict[str, list[Any]]
) -> None:
    runner = build(plain(model={**plain()["model"], "lr": 0.3}))
    runner.begin(3)
    for start in (0, 1, 2):
        runner.run(request(start, 1, momentum=0.9))
    assert [lr for lr, *_ in seen["lr"]] == [0.3 * SHAPE.factor(i) for i in range(3)]


def test_a_users_module_gets_the_shape_too(tmp_path: Path) -> None:
    runner = build({**settings(own_model("OwnModule"), lr_schedule="cosine"), "stop_iterations": 4})
    runner.begin(3)
    metrics = runner.run(request(0, 2, lr=0.02)).metrics
    assert metrics["train/lr"] == 0.02 * LrShape("cosine", 4, 0.2).factor(1)
    assert state_of(runner, tmp_path).optimizer_states[0]["param_groups"][0]["lr"] == 0.02


def test_constant_leaves_the_rate_and_the_metrics_alone(seen: dict[str, list[Any]]) -> None:
    runner = build(plain("constant"))
    runner.begin(3)
    metrics = runner.run(request(0, 3, lr=0.4, momentum=0.9)).metrics
    assert seen["lr"] == [(0.4, 0.9, 0.0005)] * 3
    assert set(metrics) == {"train/loss", "val/loss", "val/acc"}
