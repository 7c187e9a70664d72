"""Where the images of a dataset lie, and who makes the batches."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch

from hrfs.training.devices import CPU
from hrfs.training.host_memory import host_room, require_room, size_text
from hrfs.training.sources import ImageSource, Split
from hrfs.training.sources.shared import SMALL_BYTES

log = logging.getLogger(__name__)

GPU_ROOM = 0.25
"""Part of a GPU's free memory that a split of a dataset may take up."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a split lies, and how many processes make its batches; 0: the one that trains."""

    device: torch.device
    loader_workers: int


@dataclass(frozen=True, slots=True)
class Residency:
    """``dataset.device_resident`` and ``dataset.loader_workers``."""

    wish: bool | Literal["auto"] = "auto"
    loader_workers: int = 2

    def place(self, source: ImageSource, split: Split, device: torch.device) -> Place:
        """Where a split is to lie for training on ``device``; decodes nothing.

        Raises:
            ConfigError: it must lie there and has no room.
        """
        if self.wish is False:
            return Place(CPU, self.loader_workers)
        if device.type not in ("cpu", "cuda"):  # of other accelerators nothing was measured
            device = CPU
        size_bytes, room_bytes = _size_and_room(source, split, device)
        if room_bytes is None or size_bytes <= max(room_bytes, _always(device)):
            return Place(device, 0)
        where = "the GPU" if device.type == "cuda" else "this machine"
        if self.wish is True:
            require_room(size_bytes, room_bytes, where)
        _tell(size_bytes, room_bytes, where, self.loader_workers)
        return Place(CPU, self.loader_workers)


def _always(device: torch.device) -> int:
    """So many bytes are not worth a process, however little memory there is."""
    return SMALL_BYTES if device == CPU else 0


@lru_cache(maxsize=8)
def _size_and_room(
    source: ImageSource, split: Split, device: torch.device
) -> tuple[int, int | None]:
    """Bytes of a split and what it may take up; asked once, or it would refuse what is there."""
    if device == CPU:
        return source.size_bytes(split), host_room()
    return source.size_bytes(split), int(GPU_ROOM * torch.cuda.mem_get_info(device)[0])


@lru_cache(maxsize=8)
def _tell(size_bytes: int, room_bytes: int, where: str, loader_workers: int) -> None:
    """Once is enough for each."""
    log.warning(
        "the dataset takes %s and %s has room for %s: %d loader processes read it",
        size_text(size_bytes),
        where,
        size_text(room_bytes),
        loader_workers,
    )
