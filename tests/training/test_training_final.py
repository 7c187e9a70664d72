from __future__ import annotations

import json
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from pytorch_lightning import LightningModule
from torch import nn
from training_helpers import (
    WORKER,
    own_model,
    request,
    same,
    settings,
    small_model,
    synthetic,
    write_cifar,
)

import hrfs
from hrfs.experiment.checkpoint import CheckpointError
from hrfs.training.export import export_weights
from hrfs.training.final import evaluate_winner
from hrfs.training.module import ImageClassifier
from hrfs.training.runner import build

pytestmark = pytest.mark.torch


def test_the_winner_meets_the_test_set_and_opens_as_a_lightning_checkpoint(tmp_path: Path) -> None:
    plain = settings()
    runner = build(plain)
    runner.begin(3)
    runner.run(request(0, 12, lr=0.07, momentum=0.8))
    runner.save(tmp_path / "state")
    exported = tmp_path / "winner" / "best.ckpt"
    metrics = evaluate_winner(plain, tmp_path / "state", WORKER, exported)

    module = ImageClassifier.load_from_checkpoint(exported, weights_only=True, map_location="cpu")
    assert (module.hparams["lr"], module.hparams["momentum"]) == (0.07, 0.8)
    module.eval()
    with torch.no_grad():
        right = [
            (module(images).argmax(1) == labels).float().mean()
            for images, labels in runner._data.test_dataloader()
        ]
        sizes = [len(labels) for _, labels in runner._data.test_dataloader()]
    accuracy = sum(r.item() * size for r, size in zip(right, sizes, strict=True)) / sum(sizes)
    assert set(metrics) == {"test/acc", "test/loss"}
    assert metrics["test/acc"] == pytest.approx(accuracy)
    assert sum(sizes) == 24
    weights = exported.with_suffix(".safetensors")
    assert sorted(exported.parent.iterdir()) == [exported, weights]
    again = ImageClassifier(**hyperparameters_of(weights))
    again.load_state_dict(safetensors.torch.load_file(weights))
    assert same(again.state_dict(), module.state_dict())
    assert {file.stat().st_mode & 0o777 for file in (exported, weights)} == {0o644}


def test_the_winner_meets_the_whole_validation_split_if_slices_saw_a_part(tmp_path: Path) -> None:
    part = settings(validation_samples=5)
    runner = build(part)
    runner.begin(3)
    seen = runner.run(request(0, 12)).metrics
    runner.save(tmp_path / "state")
    found = evaluate_winner(part, tmp_path / "state", WORKER, tmp_path / "best.ckpt")
    assert set(found) == {"test/acc", "test/loss", "val/acc", "val/loss"}

    whole = build(settings())
    whole.begin(3)
    slice_of_all = whole.run(request(0, 12)).metrics
    assert found["val/loss"] == pytest.approx(slice_of_all["val/loss"])
    assert found["val/acc"] == pytest.approx(slice_of_all["val/acc"])
    assert found["val/loss"] != pytest.approx(seen["val/loss"])


def test_without_a_test_step_the_whole_validation_split_is_met_all_the_same(
    tmp_path: Path,
) -> None:
    plain = settings(model=own_model("OwnModule"), validation_samples=5)
    runner = build(plain)
    runner.begin(0)
    runner.run(request(0, 2, trial=0, lr=0.01))
    runner.save(tmp_path / "state")
    found = evaluate_winner(plain, tmp_path / "state", WORKER, tmp_path / "best.ckpt")
    assert set(found) == {"val/acc", "val/seen"}


def hyperparameters_of(weights: Path) -> dict[str, Any]:
    with safetensors.safe_open(weights, "pt") as opened:
        metadata = opened.metadata()
    assert metadata["class"] == "hrfs.training.module.ImageClassifier"
    assert metadata["hrfs_version"] == hrfs.__version__
    hyperparameters: dict[str, Any] = json.loads(metadata["hyperparameters"])
    assert (hyperparameters["lr"], hyperparameters["momentum"]) == (0.07, 0.8)
    return hyperparameters


class Tied(LightningModule):
    """Two names for one tensor, a view that is not in rows, and what JSON cannot hold."""

    def __init__(self, lr: float = 0.1, scale: float = float("inf"), kind: object = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.one = nn.Parameter(torch.arange(6.0).reshape(2, 3).T)
        self.other = self.one


class WithExtra(LightningModule):
    def get_extra_state(self) -> list[int]:
        return [1]

    def set_extra_state(self, state: list[int]) -> None: ...


def test_tied_weights_and_odd_hyperparameters_are_exported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "w.safetensors"
    export_weights(Tied(lr=np.float64(0.2), kind={1, 2}), file)
    loaded = safetensors.torch.load_file(file)
    assert loaded["one"].tolist() == loaded["other"].tolist() == [[0, 3], [1, 4], [2, 5]]
    Tied().load_state_dict(loaded)
    with safetensors.safe_open(file, "pt") as opened:
        assert json.loads(opened.metadata()["hyperparameters"]) == {"lr": 0.2}
    assert "w.safetensors lacks the hyperparameter scale (Out of range float" in caplog.text
    assert "w.safetensors lacks the hyperparameter kind (" in caplog.text


def test_a_state_that_is_no_tensor_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export_weights(WithExtra(), tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []
    assert "w.safetensors is not written: _extra_state is no tensor" in caplog.text


def test_a_module_without_a_test_step_is_exported_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = settings(model=own_model("OwnModule"))
    runner = build(plain)
    runner.begin(0)
    runner.run(request(0, 2, trial=0, lr=0.01))
    runner.save(tmp_path / "state")
    with caplog.at_level(logging.WARNING):
        assert evaluate_winner(plain, tmp_path / "state", WORKER, tmp_path / "best.ckpt") == {}
    assert "OwnModule has no test_step" in caplog.text
    content = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert content["hyper_parameters"] == {"dropout": 0.5, "lr": 0.01}


class Canary:
    """Leaves a folder behind if anyone unpickles it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_a_winner_from_elsewhere_runs_nothing(tmp_path: Path) -> None:
    canary, evil = tmp_path / "ran", tmp_path / "winner.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": Canary(canary)}, evil)
    with pytest.raises(CheckpointError, match="begins with b'hrfsckpt'"):
        evaluate_winner(settings(), evil, WORKER, tmp_path / "best.ckpt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        ImageClassifier.load_from_checkpoint(evil, weights_only=True)
    evil.with_suffix(".safetensors").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(safetensors.SafetensorError):
        safetensors.torch.load_file(evil.with_suffix(".safetensors"))
    assert not canary.exists()
    torch.load(evil, weights_only=False)
    assert canary.exists(), "the canary itself must work, or this test shows nothing"


def test_a_damaged_winner_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        evaluate_winner(settings(), tmp_path / "state", WORKER, tmp_path / "best.ckpt")
    assert not (tmp_path / "best.ckpt").exists()


@pytest.mark.slow
def test_resnet50_runs_on_files_in_cifar100_format(tmp_path: Path) -> None:
    write_cifar(tmp_path, "cifar-100-python", {"train": 24, "test": 8}, "fine_labels", 100)
    dataset = synthetic(
        name="cifar100", root=str(tmp_path), checksums="none", samples=None, batch_size=4,
        num_classes=100, channels=3, image_size=32,
    )  # fmt: skip
    model = small_model(network="resnet50", width=None, num_classes=100, channels=3)
    plain = settings(model, dataset)
    runner = build(plain)
    runner.begin(0)
    runner.run(request(0, 1, trial=0))
    runner.save(tmp_path / "state")
    runner.load(tmp_path / "state")
    result = runner.run(request(1, 1, trial=0))
    assert set(result.metrics) == {"train/loss", "val/loss", "val/acc"}
    runner.save(tmp_path / "state")
    metrics = evaluate_winner(plain, tmp_path / "state", WORKER, tmp_path / "best.ckpt")
    assert set(metrics) == {"test/acc", "test/loss"}
