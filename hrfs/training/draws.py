"""Batches by their number, each under a seed of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hrfs.training.devices import CPU


@dataclass(frozen=True, slots=True)
class Draw:
    """One batch to be loaded: which samples, and the seed of what is random about them."""

    seed: int
    indices: list[int]


class Draws:
    """A fixed sequence of draws; stands where a loader expects a sampler."""

    def __init__(self, draw: Callable[[int], Draw], start: int, stop: int) -> None:
        self._draw = draw
        self._range = range(start, stop)

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[Draw]:
        return map(self._draw, self._range)


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), numpy and Python's ``random``; ``seed`` has 64 bits."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed asks every backend: 0.3 ms
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed % 2**32)  # users' transforms draw from it
    random.seed(seed)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to the tensors of a batch before it leaves the loader."""

    channels_last: bool
    """Memory order of images, which are the tensors of four dimensions."""
    pin: bool
    """Put tensors where a GPU can read them by itself: from other memory the host would have
    to wait, at each batch, until the GPU has done all that was given to it before."""

    def of(self, batch: Any) -> Any:
        """``batch``, prepared: tensors in dictionaries, lists and tuples are found."""
        if isinstance(batch, Tensor):
            if batch.dim() == 4:
                wanted = torch.channels_last if self.channels_last else torch.contiguous_format
                batch = batch.contiguous(memory_format=wanted)
            return batch.pin_memory() if self.pin and batch.device == CPU else batch
        if isinstance(batch, dict):
            return {key: self.of(value) for key, value in batch.items()}
        if type(batch) in (list, tuple):
            return type(batch)(self.of(value) for value in batch)
        return batch


class SeededBatches(Dataset[Any]):
    """Gives whole batches of another map-style dataset, each under its own seed."""

    def __init__(
        self, dataset: Any, collate: Callable[[Any], Any], preparation: Preparation
    ) -> None:
        self._dataset = dataset
        self._collate = collate
        self._preparation = preparation

    def __getitem__(self, draw: Draw) -> Any:
        seed_everything(draw.seed)
        if callable(getattr(self._dataset, "__getitems__", None)):
            samples = self._dataset.__getitems__(draw.indices)
        else:
            samples = [self._dataset[index] for index in draw.indices]
        return self._preparation.of(self._collate(samples))
