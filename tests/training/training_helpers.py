"""Settings, requests, files in CIFAR's format, and modules of a user's own, for the tests here."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest
from hrfs.training.module import ImageClassifier

IMAGE_DATA = "hrfs.training.data.ImageData"
WORKER = WorkerInfo("here/cpu/0", "cpu", "here", cpus=1.0)
VALUES = {"lr": 0.05, "momentum": 0.9}


def synthetic(**changes: Any) -> dict[str, Any]:
    """A dataset group: 96 training images (76 and 20 held out) of 8 x 8 grey pixels."""
    group = {
        "_target_": IMAGE_DATA,
        "name": "synthetic",
        "samples": 96,
        "num_classes": 4,
        "channels": 1,
        "image_size": 8,
        "batch_size": 16,
        "validation_fraction": 0.21,
    }
    return {**group, **changes}


def small_model(**changes: Any) -> dict[str, Any]:
    """A model group: the small residual net, at its smallest."""
    group = {
        "_target_": "hrfs.training.module.ImageClassifier",
        "network": "small_resnet",
        "width": 4,
        "num_classes": 4,
        "channels": 1,
    }
    return {**group, **changes}


def own_model(name: str, **changes: Any) -> dict[str, Any]:
    """A model group for a module of this file."""
    return {"_target_": f"training_helpers.{name}", **changes}


def settings(
    model: dict[str, Any] | None = None,
    dataset: dict[str, Any] | None = None,
    seed: int = 0,
    **trainer: Any,
) -> dict[str, Any]:
    """Runner settings."""
    return {
        "model": small_model() if model is None else model,
        "dataset": synthetic() if dataset is None else dataset,
        "trainer": trainer,
        "seed": seed,
        "allowed_targets": ["training_helpers."],
    }


def request(
    start: int, iterations: int, trial: int = 3, worker: WorkerInfo = WORKER, **values: Any
) -> SliceRequest:
    """A slice of ``trial``."""
    return SliceRequest(0, trial, start, iterations, worker, values or VALUES)


def write_cifar(
    root: Path, folder: str, files: dict[str, int], label_key: str, classes: int
) -> None:
    """Files in the on-disk format of CIFAR; ``files`` maps names to numbers of images."""
    rng = np.random.default_rng(0)
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, count in files.items():
        batch = {
            "data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
            label_key: (np.arange(count) % classes).tolist(),
            "filenames": [f"{index}.png" for index in range(count)],
        }
        (root / folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def write_cifar10(root: Path, count: int = 20) -> None:
    """All six files of CIFAR-10, with ``count`` images each."""
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    write_cifar(root, "cifar-10-batches-py", dict.fromkeys(names, count), "labels", 10)


def same(left: Any, right: Any) -> bool:
    """Whether two nested states are equal bit by bit."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


class Recorder(ImageClassifier):
    """Writes down what happens to it; the tests read ``Recorder.seen``."""

    seen: dict[str, list[Any]] = {}  # noqa: RUF012

    @classmethod
    def note(cls, what: str, value: Any) -> None:
        cls.seen.setdefault(what, []).append(value)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        group = self.optimizers().param_groups[0]
        self.note("lr", (group["lr"], group["momentum"], group["weight_decay"]))
        self.note("hparams", self.hparams["lr"])
        self.note("steps", self.trainer.global_step)
        self.note("train_mode", self.training)
        self.note("train_images", [image.cpu().numpy().tobytes() for image in batch[0]])
        return super().training_step(batch, batch_idx)

    def on_validation_start(self) -> None:
        self.note("before", {k: v.clone() for k, v in self.state_dict().items()})

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.note("eval_mode", not any(part.training for part in self.modules()))
        self.note("val_images", [image.cpu().numpy().tobytes() for image in batch[0]])
        super().validation_step(batch, batch_idx)

    def on_validation_end(self) -> None:
        self.note("after", {k: v.clone() for k, v in self.state_dict().items()})


class OwnModule(LightningModule):
    """What a user might write: a dropout rate as a hyperparameter, Adam, state of its own."""

    def __init__(self, dropout: float = 0.5, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 16), nn.Dropout(dropout), nn.Linear(16, 4)
        )
        self.accuracy = MulticlassAccuracy(4, validate_args=False)
        self.batches_seen = 0

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        images, labels = batch
        self.batches_seen += 1
        return nn.functional.cross_entropy(self.body(images), labels)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        self.accuracy.update(self.body(images), labels)
        self.log("val/acc", self.accuracy, on_epoch=True)
        self.log("val/seen", float(self.batches_seen))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["batches_seen"] = self.batches_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches_seen = checkpoint["batches_seen"]


class WithScheduler(OwnModule):
    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


class WithoutValidation(LightningModule):
    pass


class Hungry(OwnModule):
    """Runs out of memory in its first step."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.kind == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if self.kind == "python":
            raise MemoryError
        if self.kind == "numpy":
            np.empty(2**60, dtype=np.uint8)
        if self.kind == "cpu":
            torch.empty(2**60)
        raise RuntimeError("shapes differ")


class Laborious(OwnModule):
    """Each batch is computed on for 5 ms at least, whatever else the machine does."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        compute(0.005)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        compute(0.005)
        super().validation_step(batch, batch_idx)


def compute(seconds: float) -> None:
    """Keep this thread's core busy for so long."""
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


class OwnData(LightningDataModule):
    """What a user might write: no method that hrfs asks for beyond Lightning's."""

    def __init__(self, batch_size: int = 8, workers: int = 0) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.workers = workers
        self.prepared = 0

    def prepare_data(self) -> None:
        self.prepared += 1

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(5)
        images = torch.randn(40, 1, 8, 8, generator=generator)
        labels = torch.arange(40) % 4
        self.train = TensorDataset(images[:32], labels[:32])
        self.val = TensorDataset(images[32:], labels[32:])

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, self.batch_size, shuffle=True, num_workers=self.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.val, self.batch_size)


class Endless(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(3))


class EndlessData(OwnData):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Endless(), self.batch_size)
