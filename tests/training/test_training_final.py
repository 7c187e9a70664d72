from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from training_helpers import (
    WORKER,
    own_model,
    request,
    settings,
    small_model,
    synthetic,
    write_cifar,
)

from hrfs.experiment.checkpoint import CheckpointError
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
    assert [file.name for file in exported.parent.iterdir()] == ["best.ckpt"]


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
