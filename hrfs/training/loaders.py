"""Loaders whose batches depend on (seed, trial, iteration) alone.

A data module's own loader is taken apart, as Lightning itself does for distributed training:
its dataset, batch size, collate function and worker settings are kept, and its sampler gives
way to one that knows which iteration comes next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from hrfs.experiment.errors import ConfigError
from hrfs.training.randomness import Stream, batch_indices, derive, generator


@dataclass(frozen=True, slots=True)
class Draw:
    """One batch to be loaded: which samples, and the seed of what is random about them."""

    seed: int
    indices: list[int]


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), numpy and Python's ``random``; ``seed`` has 64 bits."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed asks every backend: 0.3 ms
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed % 2**32)  # users' transforms draw from it
    random.seed(seed)


class SeededBatches(Dataset[Any]):
    """Gives whole batches of another map-style dataset, each under its own seed."""

    def __init__(self, dataset: Any, collate: Callable[[Any], Any], channels_last: bool) -> None:
        self._dataset = dataset
        self._collate = collate
        self._channels_last = channels_last

    def __getitem__(self, draw: Draw) -> Any:
        seed_everything(draw.seed)
        if callable(getattr(self._dataset, "__getitems__", None)):
            samples = self._dataset.__getitems__(draw.indices)
        else:
            samples = [self._dataset[index] for index in draw.indices]
        return _with_layout(self._collate(samples), self._channels_last)


class Draws:
    """A fixed sequence of draws; stands where a loader expects a sampler."""

    def __init__(self, draw: Callable[[int], Draw], start: int, stop: int) -> None:
        self._draw = draw
        self._range = range(start, stop)

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[Draw]:
        return map(self._draw, self._range)


@dataclass(frozen=True)
class Batches:
    """The training and validation batches of one data module."""

    training: DataLoader[Any]
    validation: DataLoader[Any]
    seed: int
    channels_last: bool = True
    validation_samples: int | None = None

    def __post_init__(self) -> None:
        size, samples = _batch_size(self.training, "train"), len(_dataset(self.training, "train"))
        _batch_size(self.validation, "val")
        if size > samples:
            raise ConfigError(
                "dataset.batch_size", size, f"is more than the {samples} training samples"
            )
        if len(_dataset(self.validation, "val")) == 0:
            raise ConfigError("dataset", "val_dataloader()", "has no samples to compare trials on")

    def for_slice(self, trial: int, from_iteration: int, iterations: int) -> DataLoader[Any]:
        """Batches ``from_iteration`` to ``from_iteration + iterations - 1`` of ``trial``."""
        samples = len(_dataset(self.training, "train"))
        size = _batch_size(self.training, "train")

        def draw(iteration: int) -> Draw:
            return Draw(
                derive(self.seed, Stream.BATCH_CONTENT, trial, iteration),
                batch_indices(self.seed, trial, iteration, samples, size),
            )

        stop = from_iteration + iterations
        return self._rebuild(self.training, Draws(draw, from_iteration, stop))

    def for_validation(self) -> DataLoader[Any]:
        """The validation split, or its fixed subset, in the same order each time."""
        chosen, size = self.validation_subset(), _batch_size(self.validation, "val")

        def draw(batch: int) -> Draw:
            seed = derive(self.seed, Stream.VALIDATION_SUBSET, batch + 1)
            return Draw(seed, chosen[batch * size : (batch + 1) * size])

        return self._rebuild(self.validation, Draws(draw, 0, -(-len(chosen) // size)))

    def validation_subset(self) -> list[int]:
        """Positions in the validation set that are evaluated, ascending."""
        available, wanted = len(_dataset(self.validation, "val")), self.validation_samples
        if wanted is None or wanted >= available:
            return list(range(available))
        order = generator(self.seed, Stream.VALIDATION_SUBSET, 0).permutation(available)
        return sorted(order[:wanted].tolist())

    def _rebuild(self, loader: DataLoader[Any], draws: Draws) -> DataLoader[Any]:
        dataset = SeededBatches(loader.dataset, loader.collate_fn, self.channels_last)
        return DataLoader(
            dataset,
            batch_size=None,  # SeededBatches gives whole batches
            sampler=draws,
            num_workers=loader.num_workers,
            pin_memory=loader.pin_memory,
            worker_init_fn=loader.worker_init_fn,
        )


def _dataset(loader: DataLoader[Any], split: str) -> Any:
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise ConfigError(
            "dataset._target_",
            type(loader).__name__,
            f"{split}_dataloader() must return one torch DataLoader over a map-style dataset",
            "a trial that moves must be able to ask for any batch by its number",
        )
    return loader.dataset


def _batch_size(loader: DataLoader[Any], split: str) -> int:
    _dataset(loader, split)
    if loader.batch_size is None:
        raise ConfigError(
            "dataset._target_",
            type(loader).__name__,
            f"{split}_dataloader() must be built with batch_size, not with a batch sampler",
        )
    return loader.batch_size


def _with_layout(batch: Any, channels_last: bool) -> Any:
    """``batch`` with its image tensors (four dimensions) in the wanted memory order."""
    if isinstance(batch, Tensor):
        if batch.dim() != 4:
            return batch
        wanted = torch.channels_last if channels_last else torch.contiguous_format
        return batch.contiguous(memory_format=wanted)
    if isinstance(batch, dict):
        return {key: _with_layout(value, channels_last) for key, value in batch.items()}
    if type(batch) in (list, tuple):
        return type(batch)(_with_layout(value, channels_last) for value in batch)
    return batch
