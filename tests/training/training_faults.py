"""Modules and data of a user's own that go wrong; imported by workers' processes too."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

FEATURES, CLASSES, SAMPLES, BATCH = 4, 2, 32, 8


class Faulty(LightningModule):
    """A linear classifier with a flaw of each kind, chosen by ``fault``."""

    def __init__(
        self,
        fault: str = "none",
        lr: float = 0.1,
        rate: float = 0.0,
        fail_above_lr: float = 10.0,
        markers: str = "",
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if rate > 0.5 and fault == "constructor":
            raise ValueError(f"rate {rate} is too high")
        self.norm = nn.BatchNorm1d(FEATURES)
        self.body = nn.Linear(FEATURES, CLASSES)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    @property
    def _is_hit(self) -> bool:
        return bool(self.hparams["lr"] > self.hparams["fail_above_lr"])

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        inputs, labels = batch
        if self.hparams["fault"] == "raises" and self._is_hit:
            self._deep_inside(inputs)
        loss = nn.functional.cross_entropy(self.body(self.norm(inputs)), labels)
        return loss * torch.nan if self.hparams["fault"] == "nan loss" else loss

    def _deep_inside(self, inputs: torch.Tensor) -> None:
        raise ValueError(f"shapes differ: {tuple(inputs.shape)}")

    def on_train_end(self) -> None:
        with torch.no_grad():
            if self.hparams["fault"] == "weight":
                self.body.weight[0, 0] = torch.inf
            if self.hparams["fault"] == "buffer":
                self.norm.running_var[1] = torch.nan
            if self.hparams["fault"] == "optimizer":
                state = self.trainer.optimizers[0].state[self.body.weight]
                state["exp_avg_sq"][0, 0] = torch.inf

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        inputs, labels = batch
        scores = self.body(self.norm(inputs))
        accuracy = (scores.argmax(1) == labels).float().mean()
        side = torch.tensor(torch.nan if self.hparams["fault"] == "side metric" else 1.0)
        if self.hparams["fault"] == "nan score":
            accuracy = accuracy * torch.nan
        if self.hparams["fault"] == "infinite score":
            accuracy = torch.tensor(3e38) * 10
        if self.hparams["fault"] != "no score":
            self.log("val/acc", accuracy)
        self.log("val/side", side)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])


class Samples(Dataset[Any]):
    """A few samples; once, where a marker asks for it, the process that reads them is killed."""

    def __init__(self, data: TensorDataset, parent: int, marker: Path) -> None:
        self._data = data
        self._parent = parent
        self._marker = marker

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Any:
        if self._marker.exists() and os.getpid() != self._parent:
            self._marker.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._data[index]


class FaultyData(LightningDataModule):
    """Read by ``workers`` processes, one of which dies where ``marker`` is a file."""

    def __init__(self, workers: int = 0, marker: str = "/nowhere", batch_size: int = BATCH) -> None:
        super().__init__()
        self.workers = workers
        self.marker = Path(marker)
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(5)
        inputs = torch.randn(SAMPLES + BATCH, FEATURES, generator=generator)
        labels = (inputs.sum(1) > 0).long()
        self.train = TensorDataset(inputs[:SAMPLES], labels[:SAMPLES])
        self.val = TensorDataset(inputs[SAMPLES:], labels[SAMPLES:])

    def train_dataloader(self) -> DataLoader[Any]:
        samples = Samples(self.train, os.getpid(), self.marker)
        return DataLoader(samples, self.batch_size, num_workers=self.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.val, self.batch_size)
