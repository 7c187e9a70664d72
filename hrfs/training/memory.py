"""Out of memory, told so that a user knows what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hrfs.experiment.records import WorkerInfo

_WITHOUT_TYPE = ("DefaultCPUAllocator", "can't allocate memory", "CUDA error: out of memory")
"""What a RuntimeError says if memory was the trouble."""


@contextmanager
def memory_hint(worker: WorkerInfo) -> Iterator[None]:
    """Let an out-of-memory error pass, with a word on what to do put before its message.

    Raises:
        MemoryError, torch.OutOfMemoryError, RuntimeError: as it was raised within (an error
            derived from MemoryError becomes one, for its constructor may want more).
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        kind = _kind(error)
        if kind is None:
            raise
        device = "GPU" if worker.on_gpu else "CPU"
        hint = (
            f"worker {worker.name} ran out of {device} memory: lower dataset.batch_size, or "
            "give fewer workers to a device"
        )
        raise kind(f"{hint} ({error})") from error


def _kind(error: Exception) -> type[Exception] | None:
    """The type to raise again; None if memory was not the trouble."""
    for kind in (MemoryError, torch.OutOfMemoryError):
        if isinstance(error, kind):
            return kind
    text = str(error)  # torch has no type of its own for the CPU's allocator, nor for drivers
    if any(words in text for words in _WITHOUT_TYPE):
        return RuntimeError
    return None
