"""Loaders whose batches depend on a trial's identity and the iteration alone.

A data module's own loader is taken apart, as Lightning itself does for distributed training:
its dataset, batch size, collate function and worker settings are kept, and its sampler gives
way to one that knows which iteration comes next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from hrfs.core.populations import Populations
from hrfs.experiment.errors import ConfigError
from hrfs.training.devices import CPU
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


@runtime_checkable
class Placeable(Protocol):
    """A dataset that can make its batches on the device that trains.

    Asked for without worker processes alone, in which a GPU may not be used.
    """

    def on_device(self, device: torch.device) -> Any:
        """The same samples, on ``device`` if they fit there. Called for each slice: be quick."""


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
    populations: Populations
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

    def for_slice(
        self, trial: int, from_iteration: int, iterations: int, device: torch.device = CPU
    ) -> DataLoader[Any]:
        """Batches ``from_iteration`` to ``from_iteration + iterations - 1`` of ``trial``.

        ``device`` is where they are needed: they may lie there already.
        """
        samples = len(_dataset(self.training, "train"))
        size = _batch_size(self.training, "train")
        seed, member = self.populations.identity(trial)

        def draw(iteration: int) -> Draw:
            return Draw(
                derive(seed, Stream.BATCH_CONTENT, member, iteration),
                batch_indices(seed, member, iteration, samples, size),
            )

        stop = from_iteration + iterations
        return self._rebuild(self.training, Draws(draw, from_iteration, stop), device)

    def for_validation(self, trial: int, device: torch.device = CPU) -> DataLoader[Any]:
        """The validation split, or its fixed subset, in the same order each time.

        The same for all trials of a population.
        """
        seed, _ = self.populations.identity(trial)
        chosen, size = self.validation_subset(seed), _batch_size(self.validation, "val")

        def draw(batch: int) -> Draw:
            content = derive(seed, Stream.VALIDATION_SUBSET, batch + 1)
            return Draw(content, chosen[batch * size : (batch + 1) * size])

        return self._rebuild(self.validation, Draws(draw, 0, -(-len(chosen) // size)), device)

    def validation_subset(self, seed: int) -> list[int]:
        """Positions in the validation set that the population of ``seed`` is evaluated on,
        ascending.
        """
        available, wanted = len(_dataset(self.validation, "val")), self.validation_samples
        if wanted is None or wanted >= available:
            return list(range(available))
        order = generator(seed, Stream.VALIDATION_SUBSET, 0).permutation(available)
        return sorted(order[:wanted].tolist())

    def _rebuild(
        self, loader: DataLoader[Any], draws: Draws, device: torch.device
    ) -> DataLoader[Any]:
        samples: Any = loader.dataset
        in_process, to_gpu = loader.num_workers == 0, device.type == "cuda"
        if in_process and isinstance(samples, Placeable):
            samples = samples.on_device(device)
        preparation = Preparation(self.channels_last, pin=in_process and to_gpu)
        return DataLoader(
            SeededBatches(samples, loader.collate_fn, preparation),
            batch_size=None,  # SeededBatches gives whole batches
            sampler=draws,
            num_workers=loader.num_workers,
            pin_memory=to_gpu and not in_process,
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
