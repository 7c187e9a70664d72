"""What is measured: one network, one batch size, one device."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from hrfs.experiment.records import WorkerInfo
from hrfs.training.networks import build_network

CLASSES, CHANNELS, IMAGE_SIZE = 10, 3, 32
LEARNING = {"lr": 0.05, "momentum": 0.9}
WEIGHT_DECAY = 5e-4
CIFAR_SAMPLES = 50_000


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    network: str
    stem: str | None
    """None for networks that have but one."""
    batch: int
    samples: int
    on_gpu: bool
    threads: int
    reduced_precision: bool
    """Whether number formats below 32 bit may be tried."""
    compiled: bool
    """Whether torch.compile may be tried."""

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return torch.device("cuda" if self.on_gpu else "cpu")

    @property
    def worker(self) -> WorkerInfo:
        """The same for the slice runner."""
        kind = "gpu" if self.on_gpu else "cpu"
        return WorkerInfo(f"here/{kind}:0", kind, "here", float(self.threads), float(self.on_gpu))

    @property
    def name(self) -> str:
        """As the table has it."""
        return self.network if self.stem is None else f"{self.network}/{self.stem}"

    def make_network(self) -> nn.Module:
        """The network on the CPU, always with the same weights."""
        torch.manual_seed(0)
        return build_network(self.network, CLASSES, CHANNELS, self.stem)  # type: ignore[arg-type]


class Way(Protocol):
    """A way to train; lives in a process of its own."""

    told: str
    """What it has chosen, for the table."""

    def round(self, iterations: int) -> Mapping[str, float]:
        """Do so many optimizer steps; figures by name, ``images_per_s`` among them."""


def random_images(samples: int) -> tuple[Tensor, Tensor]:
    """Bytes of shape (samples, height, width, channels), and labels."""
    generator = torch.Generator().manual_seed(0)
    shape = (samples, IMAGE_SIZE, IMAGE_SIZE, CHANNELS)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, CLASSES, (samples,), generator=generator)


def now_s(device: torch.device) -> float:
    """The time once ``device`` has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
