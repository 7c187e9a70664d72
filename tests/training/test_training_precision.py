"""Other number formats and compiled steps learn what 32 bit in eager mode learns."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import request, settings

from hrfs.training.runner import build
from hrfs.training.state import load_state

pytestmark = [pytest.mark.torch, pytest.mark.soak, pytest.mark.slow]

DIGITS = {
    "_target_": "hrfs.training.data.ImageData", "name": "digits", "batch_size": 64,
    "num_classes": 10, "channels": 1, "image_size": 8, "validation_fraction": 0.15,
}  # fmt: skip
DEMO_NETWORK = {
    "_target_": "hrfs.training.module.ImageClassifier", "network": "small_resnet", "width": 16,
    "num_classes": 10, "channels": 1,
}  # fmt: skip
SEEDS = range(5)
ITERATIONS = 60


def accuracies(precision: str) -> list[float]:
    """Validation accuracy of the demo's network after a short training, by seed."""
    found = []
    for seed in SEEDS:
        runner = build(settings(DEMO_NETWORK, DIGITS, seed, precision=precision))
        runner.begin(0)
        result = runner.run(request(0, ITERATIONS, trial=0, lr=0.05, momentum=0.9))
        found.append(result.metrics["val/acc"])
    return found


def test_mixed_bfloat16_learns_the_demo_as_32_bit_does() -> None:
    """The means over five seeds differ by less than two standard errors of their difference.

    But by a hundredth at most counts as none: there are 270 images.
    """
    full, half = accuracies("32-true"), accuracies("bf16-mixed")
    assert min(full) > 0.85
    spread = (statistics.variance(full) + statistics.variance(half)) / len(SEEDS)
    assert abs(statistics.mean(full) - statistics.mean(half)) < max(0.01, 2 * spread**0.5)
    assert full != half


def test_a_compiled_step_trains_the_same_and_is_compiled_once(tmp_path: Path) -> None:
    states: list[Any] = []
    for compiled in (False, True):
        runner = build(settings(compile=compiled))
        for trial in (3, 4):
            runner.begin(trial)
            before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
            for start in (0, 3):
                runner.run(request(start, 3, trial=trial))
            graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"] - before
            assert graphs == (1 if compiled and trial == 3 else 0)
        runner.save(tmp_path / "state")
        states.append(load_state(tmp_path / "state"))
    torch.testing.assert_close(states[1].state_dict, states[0].state_dict, rtol=1e-3, atol=1e-5)
