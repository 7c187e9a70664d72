"""A state is written while its trial is evaluated, and what is saved is the same as ever."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import VALUES, request, same, settings, small_model

from hrfs.experiment.slices import EarlySaver
from hrfs.training import early_save
from hrfs.training.module import Batch, ImageClassifier
from hrfs.training.runner import LightningSliceRunner, build
from hrfs.training.state import TrialState, load_state, write_contents

pytestmark = pytest.mark.torch
WAIT_S = 20.0


class Patient(ImageClassifier):
    """Ends its evaluation once there is a file."""

    awaited: Path
    begun: threading.Event

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """As ever."""
        super().validation_step(batch, batch_idx)
        self.begun.set()

    def on_validation_end(self) -> None:
        """Fails the slice if nobody writes it meanwhile."""
        give_up_s = time.monotonic() + WAIT_S
        while not self.awaited.exists():
            assert time.monotonic() < give_up_s, "nobody writes while the trial is evaluated"
            time.sleep(0.01)


class Learning(ImageClassifier):
    """Says that evaluation changes nothing, which is wrong."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Changes a weight."""
        super().validation_step(batch, batch_idx)
        with torch.no_grad():
            next(self.parameters()).add_(0.5)


class Silent(ImageClassifier):
    """Says nothing about its evaluation."""

    evaluation_keeps_state = False


class Watched(ImageClassifier):
    """Notes how it is evaluated."""

    seen: list[bool]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """As ever."""
        super().validation_step(batch, batch_idx)
        self.seen.append(torch.is_inference_mode_enabled())


class Failing(ImageClassifier):
    """Fails once it has been evaluated."""

    def on_validation_end(self) -> None:
        """Too late for the slice."""
        raise RuntimeError("no score")


def runner_of(name: str) -> LightningSliceRunner:
    plain = settings(model=small_model(_target_=f"{__name__}.{name}"))
    return build({**plain, "allowed_targets": [f"{__name__}."]})


def vars_of(state: TrialState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in TrialState.__dataclass_fields__}


def is_as_ever(early: Path, runner: LightningSliceRunner, later: Path) -> bool:
    """Whether ``early`` holds what a save writes that was not begun early."""
    runner.save(later)
    return same(vars_of(load_state(early)), vars_of(load_state(later)))


def test_a_state_is_written_while_its_trial_is_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "checkpoint" / "state"
    begun = threading.Event()
    monkeypatch.setattr(Patient, "awaited", file, raising=False)
    monkeypatch.setattr(Patient, "begun", begun, raising=False)

    def write_late(*arguments: Any) -> None:
        assert begun.wait(WAIT_S), "the evaluation waits for the writing"
        write_contents(*arguments)

    monkeypatch.setattr(early_save, "write_contents", write_late)
    runner = runner_of("Patient")
    assert isinstance(runner, EarlySaver)
    runner.begin(3)
    runner.save_early(lambda: file)
    runner.run(request(0, 2, **VALUES))
    written = file.stat().st_mtime_ns
    runner.save(file)
    assert file.stat().st_mtime_ns == written  # not a second time
    assert is_as_ever(file, runner, tmp_path / "later")


def test_what_evaluation_changes_all_the_same_is_saved(tmp_path: Path) -> None:
    runner, file = runner_of("Learning"), tmp_path / "checkpoint" / "state"
    runner.begin(3)
    runner.save_early(lambda: file)
    runner.run(request(0, 2, **VALUES))
    runner.save(file)
    assert is_as_ever(file, runner, tmp_path / "later")


def test_a_shaped_rate_is_saved_as_its_peak(tmp_path: Path) -> None:
    plain = settings(lr_schedule="cosine", warmup_fraction=0.5)
    runner, file = build({**plain, "stop_iterations": 8}), tmp_path / "checkpoint" / "state"
    runner.begin(3)
    runner.save_early(lambda: file)
    metrics = runner.run(request(0, 2, **VALUES)).metrics
    runner.save(file)
    (group,) = load_state(file).optimizer_states[0]["param_groups"]
    assert metrics["train/lr"] < group["lr"] == VALUES["lr"]


def test_a_module_that_says_nothing_is_saved_afterwards(tmp_path: Path) -> None:
    asked: list[bool] = []
    runner, file = runner_of("Silent"), tmp_path / "checkpoint" / "state"
    runner.begin(3)
    runner.save_early(lambda: asked.append(True))
    runner.run(request(0, 2, **VALUES))
    assert not asked
    assert not file.exists()
    runner.save(file)
    assert load_state(file).iteration == 2


@pytest.mark.parametrize("says", [True, False])
def test_what_keeps_its_state_is_evaluated_in_inference_mode(
    says: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "seen", [], raising=False)
    monkeypatch.setattr(Watched, "evaluation_keeps_state", says)
    runner = runner_of("Watched")
    runner.begin(3)
    for start in (0, 1):
        runner.run(request(start, 1, **VALUES))
    assert set(Watched.seen) == {says}


def test_a_place_is_good_for_one_slice(tmp_path: Path) -> None:
    runner, file = build(settings()), tmp_path / "checkpoint" / "state"
    runner.begin(3)
    runner.save_early(lambda: file)
    runner.run(request(0, 2, **VALUES))
    runner.save(file)
    runner.run(request(2, 2, **VALUES))
    assert load_state(file).iteration == 2
    runner.save(file)
    assert load_state(file).iteration == 4


def test_a_slice_that_fails_leaves_no_file(tmp_path: Path) -> None:
    runner, file = runner_of("Failing"), tmp_path / "checkpoint" / "state"
    runner.begin(3)
    runner.save_early(lambda: file)
    with pytest.raises(RuntimeError, match="no score"):
        runner.run(request(0, 2, **VALUES))
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_is_told_when_the_state_is_saved(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("a file where a folder should be")
    runner, file = build(settings()), tmp_path / "checkpoint" / "state"
    runner.begin(3)
    runner.save_early(lambda: file)
    runner.run(request(0, 2, **VALUES))
    with pytest.raises(OSError, match="checkpoint"):
        runner.save(file)
