"""Loaders that last from slice to slice, and with them the processes that they start.

A process of a loader takes tens of milliseconds to start, and longer the more memory its parent
has; a slice may be shorter than a second. So a loader is made once for a device, and each slice
tells its sampler which batches it wants.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch.utils.data import DataLoader

from hrfs.training.draws import Draw, Draws, Preparation, SeededBatches

log = logging.getLogger(__name__)

NO_DRAWS = Draws(lambda number: Draw(number, []), 0, 0)


@runtime_checkable
class Placeable(Protocol):
    """A dataset that can make its batches on the device that trains.

    Asked for without worker processes alone, in which a GPU may not be used.
    """

    def on_device(self, device: torch.device) -> Any:
        """The same samples, on ``device`` if they fit there. Called when the device changes."""


@runtime_checkable
class SelfLoading(Protocol):
    """A dataset that knows how many processes are to make its batches."""

    loader_workers: int
    """Counts in place of the loader's ``num_workers``; 0: the process that trains."""


class Turn:
    """The draws of the present slice; stands where a loader expects a sampler."""

    def __init__(self) -> None:
        self.draws = NO_DRAWS

    def __len__(self) -> int:
        return len(self.draws)

    def __iter__(self) -> Iterator[Draw]:
        return iter(self.draws)


class SliceBatches:
    """The batches of some draws, in their order, from a loader that others use before and after.

    Lightning ends the processes of a ``DataLoader`` that it is given when a fit is over; this is
    none. Two of one loader must not be gone through at once.
    """

    def __init__(self, loader: DataLoader[Any], turn: Turn, draws: Draws) -> None:
        self._loader = loader
        self._turn = turn
        self.draws = draws

    def __len__(self) -> int:
        return len(self.draws)

    def __iter__(self) -> Iterator[Any]:
        self._turn.draws = self.draws
        yield from self._loader


def _has_lost_a_process(loader: DataLoader[Any]) -> bool:
    """Whether one of its processes has ended; torch tells it only to who waits for a batch."""
    iterator: Any = loader._iterator
    return iterator is not None and not all(worker.is_alive() for worker in iterator._workers)


class LastingLoader:
    """A data module's loader, whose batches are asked for by number.

    What a process of the loader changes in its copy of the dataset stays there, from slice to
    slice; what is changed in the dataset later does not reach it.
    """

    def __init__(self, loader: DataLoader[Any], channels_last: bool) -> None:
        """
        Args:
            loader: its dataset, collate function and worker settings are kept.
            channels_last: memory order of the images.
        """
        self._given = loader
        self._channels_last = channels_last
        self._device: torch.device | None = None
        self._made: DataLoader[Any] | None = None
        self._turn = Turn()

    def batches(self, draws: Draws, device: torch.device) -> SliceBatches:
        """Those batches, made for ``device``: they may lie there already.

        Raises:
            ConfigError: they must lie there and have no room.
        """
        if self._made is not None and _has_lost_a_process(self._made):
            log.warning("a process that loads data died between two slices; others are started")
            self.close()
        if self._made is None or device != self._device:
            self.close()
            self._made, self._device = self._make(device), device
        return SliceBatches(self._made, self._turn, draws)

    def put_in_order(self, channels_last: bool) -> None:
        """From now on give images in that memory order."""
        if channels_last != self._channels_last:
            self.close()
        self._channels_last = channels_last

    def close(self) -> None:
        """End the loader's processes, if it has any; :meth:`batches` starts new ones."""
        made, self._made = self._made, None
        iterator: Any = None if made is None else made._iterator
        if iterator is not None:
            # They would end with the loader, but a traceback or Lightning may still hold that.
            iterator._shutdown_workers()

    def _make(self, device: torch.device) -> DataLoader[Any]:
        given, to_gpu = self._given, device.type == "cuda"
        samples: Any = given.dataset
        if given.num_workers == 0 and isinstance(samples, Placeable):
            samples = samples.on_device(device)
        workers = samples.loader_workers if isinstance(samples, SelfLoading) else given.num_workers
        preparation = Preparation(self._channels_last, pin=to_gpu and workers == 0)
        return DataLoader(
            SeededBatches(samples, given.collate_fn, preparation),
            batch_size=None,  # SeededBatches gives whole batches
            sampler=self._turn,
            num_workers=workers,
            pin_memory=to_gpu and workers > 0,
            worker_init_fn=given.worker_init_fn,
            persistent_workers=workers > 0,
            multiprocessing_context=given.multiprocessing_context,
            prefetch_factor=given.prefetch_factor if given.num_workers == workers else None,
            timeout=given.timeout if workers > 0 else 0,
        )
