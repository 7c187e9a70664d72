"""Loaders whose batches depend on a trial's identity and the iteration alone.

A data module's own loader is taken apart, as Lightning itself does for distributed training:
its dataset, batch size, collate function and worker settings are kept, and its sampler gives
way to one that knows which iteration comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from hrfs.core.populations import Populations
from hrfs.experiment.errors import ConfigError
from hrfs.training.devices import CPU
from hrfs.training.draws import Draw, Draws, seed_everything
from hrfs.training.lasting import LastingLoader, SliceBatches
from hrfs.training.randomness import Stream, batch_indices, derive, generator

__all__ = ["Batches", "seed_everything"]


class Batches:
    """The training and validation batches of one data module."""

    def __init__(
        self,
        training: DataLoader[Any],
        validation: DataLoader[Any],
        populations: Populations,
        channels_last: bool = True,
        validation_samples: int | None = None,
    ) -> None:
        """
        Args:
            populations: which trial belongs to which seed.
            channels_last: memory order of images.
            validation_samples: size of the fixed subset to evaluate on; None: all.

        Raises:
            ConfigError: a loader that cannot be taken apart, or too few samples.
        """
        self.training = training
        self.validation = validation
        self.populations = populations
        self.channels_last = channels_last
        self.validation_samples = validation_samples
        self._check()
        self._for_training = LastingLoader(training, channels_last)
        self._for_validation = LastingLoader(validation, channels_last)

    def _check(self) -> None:
        size, samples = _batch_size(self.training, "train"), len(_dataset(self.training, "train"))
        _batch_size(self.validation, "val")
        if size > samples:
            raise ConfigError(
                "dataset.batch_size", size, f"is more than the {samples} training samples"
            )
        if len(_dataset(self.validation, "val")) == 0:
            raise ConfigError("dataset", "val_dataloader()", "has no samples to compare trials on")

    def put_in_order(self, channels_last: bool) -> None:
        """From now on give images in that memory order."""
        for loader in (self._for_training, self._for_validation):
            loader.put_in_order(channels_last)

    def for_slice(
        self, trial: int, from_iteration: int, iterations: int, device: torch.device = CPU
    ) -> SliceBatches:
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
        return self._for_training.batches(Draws(draw, from_iteration, stop), device)

    def for_validation(self, trial: int, device: torch.device = CPU) -> SliceBatches:
        """The validation split, or its fixed subset, in the same order each time.

        The same for all trials of a population.
        """
        seed, _ = self.populations.identity(trial)
        chosen, size = self.validation_subset(seed), _batch_size(self.validation, "val")

        def draw(batch: int) -> Draw:
            content = derive(seed, Stream.VALIDATION_SUBSET, batch + 1)
            return Draw(content, chosen[batch * size : (batch + 1) * size])

        draws = Draws(draw, 0, -(-len(chosen) // size))
        return self._for_validation.batches(draws, device)

    def validation_subset(self, seed: int) -> list[int]:
        """Positions in the validation set that the population of ``seed`` is evaluated on,
        ascending.
        """
        available, wanted = len(_dataset(self.validation, "val")), self.validation_samples
        if wanted is None or wanted >= available:
            return list(range(available))
        order = generator(seed, Stream.VALIDATION_SUBSET, 0).permutation(available)
        return sorted(order[:wanted].tolist())

    def close(self) -> None:
        """End the processes of both loaders; the next slice starts new ones."""
        self._for_training.close()
        self._for_validation.close()

    @contextmanager
    def closed_on_failure(self) -> Iterator[None]:
        """Start anew after an exception in this block: batches may be on their way, or a process
        may have died.
        """
        try:
            yield
        except BaseException:
            self.close()
            raise


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
