"""A runner holds the memory of one trial: what it lets go of is gone before the next is loaded."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor
from training_helpers import VALUES, request, settings

from hrfs.training import holding
from hrfs.training import runner as runner_module
from hrfs.training.state import TrialState, load_state

pytestmark = pytest.mark.torch


def momenta(runner: runner_module.LightningSliceRunner) -> list[Tensor]:
    """The optimizer's memory of the trial that is held."""
    states = runner._holding.state().optimizer_states
    return [memory["momentum_buffer"] for memory in states[0]["state"].values()]


def test_momentum_is_let_go_before_another_state_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_module.build(settings())
    runner.begin(3)
    runner.run(request(0, 1, **VALUES))
    runner.save(tmp_path / "state")
    held = [weakref.ref(memory) for memory in momenta(runner)]
    assert held
    seen: list[list[Any]] = []

    def watched(file: Path) -> TrialState:
        seen.append([memory() for memory in held])
        return load_state(file)

    monkeypatch.setattr(holding, "load_state", watched)
    gc.disable()  # not by and by: at once
    try:
        runner.load(tmp_path / "state")
    finally:
        gc.enable()
    assert seen == [[None] * len(held)]


def test_gradients_and_batches_are_let_go_with_the_slice(tmp_path: Path) -> None:
    runner = runner_module.build(settings())
    runner.begin(3)
    runner.run(request(0, 2, **VALUES))
    assert all(parameter.grad is None for parameter in runner._module.parameters())
    gc.collect()
    images = [t for t in gc.get_objects() if is_batch(t)]
    assert images == []


def is_batch(candidate: object) -> bool:
    """Whether it is a tensor of images, floats (n, 1, 8, 8), of the small dataset."""
    kind = type(candidate)
    return kind is Tensor and candidate.dim() == 4 and tuple(candidate.shape[1:]) == (1, 8, 8)  # type: ignore[attr-defined]
