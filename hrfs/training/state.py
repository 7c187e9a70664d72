"""A trial's whole state as one file: weights, buffers, optimizer, and where it stands."""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch

from hrfs.experiment.checkpoint import CheckpointError, read_checkpoint, stream_checkpoint
from hrfs.training.devices import on_cpu
from hrfs.training.randomness import Identity

STATE_KEYS = (
    "state_dict",
    "optimizer_states",
    "precision_state",
    "trial",
    "iteration",
    "seed",
    "hyper_parameters",
    "extra",
)


@dataclass(slots=True)
class TrialState:
    """All that a runner needs to go on exactly where another one stopped.

    Tensors may be shared with a live module and optimizer: write it before training on.
    """

    state_dict: dict[str, Any]
    """Weights and buffers of the module, by name."""
    optimizer_states: list[dict[str, Any]]
    """``state_dict()`` of each optimizer; empty before the first slice."""
    trial: int
    """Number within its population: what is saved is the same whoever trained beside it."""
    iteration: int
    seed: int
    """That of its population."""
    hyper_parameters: dict[str, Any]
    precision_state: dict[str, Any] = field(default_factory=dict)
    """Scale of the loss where gradients are in 16 bits; else empty."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What the module's ``on_save_checkpoint`` put there."""

    @property
    def identity(self) -> Identity:
        """Seed of its population and number within it."""
        return self.seed, self.trial


def save_state(file: Path, state: TrialState) -> None:
    """Write ``state`` to ``file``, atomically and with a checksum; nothing in it names a GPU.

    Raises:
        OSError: the folder cannot be written or the disk is full; ``file`` is untouched.
    """
    write_contents(file, contents_of(state))


def contents_of(state: TrialState) -> dict[str, Any]:
    """What a file of ``state`` holds: tensors on the CPU, shared with it if they were there."""
    contents = {key: on_cpu(getattr(state, key)) for key in STATE_KEYS}
    contents["hyper_parameters"] = plain_values(state.hyper_parameters)
    return contents


def write_contents(file: Path, contents: Mapping[str, Any]) -> None:
    """Write what :func:`contents_of` gave. Raises as :func:`save_state` does."""
    with _without_crc32():
        stream_checkpoint(file, lambda sink: torch.save(contents, cast("IO[bytes]", sink)))


@contextlib.contextmanager
def _without_crc32() -> Iterator[None]:
    """Keep torch from summing up what is hashed anyway: a third of its time."""
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(before)


def load_state(file: Path) -> TrialState:
    """Read ``file``, with all tensors on the CPU. No code in the file can run.

    Raises:
        CheckpointError: damaged, foreign, or holding anything but tensors and plain values.
        OSError: the file cannot be read.
    """
    payload = read_checkpoint(file)
    try:
        # The cast is for the annotation: torch reads, seeks and tells, and no more.
        stream = cast("IO[bytes]", _ViewStream(payload))
        content = torch.load(stream, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(file, "tensors and plain values only", reason) from error
    if not isinstance(content, dict) or set(content) != set(STATE_KEYS):
        raise CheckpointError(file, f"the keys {', '.join(STATE_KEYS)}", _describe(content))
    return TrialState(**content)


class _ViewStream(io.RawIOBase):
    """A view of memory as a file, so that torch copies each tensor once and not twice."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def seekable(self) -> bool:
        """Zip files are read from their end."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``, or as much of it as is left."""
        target = memoryview(buffer).cast("B")
        part = self._view[self._at : self._at + len(target)]
        target[: len(part)] = part
        self._at += len(part)
        return len(part)


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with numpy scalars as Python's, which ``weights_only`` can read back."""
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


def _describe(content: Any) -> str:
    return ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
