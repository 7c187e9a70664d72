"""One decoded copy of a dataset per node, whatever the number of processes."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from pathlib import Path

import numpy as np

from hrfs.experiment.errors import ConfigError
from hrfs.training.host_memory import free_bytes, size_text
from hrfs.training.sources.base import ImageSource, LabelledImages, Split
from hrfs.training.sources.store import Store, private_folder

log = logging.getLogger(__name__)

SMALL_BYTES = 16 * 2**20
"""What is smaller is decoded by each process for itself, and kept in its own memory."""
_FORMAT = 1
"""Counts up when an entry, or the way from files to images, changes."""


def read_shared(source: ImageSource, split: Split) -> LabelledImages:
    """As ``source.read``; if it is not small, decoded by one process and mapped by all others.

    Where the temporary folder has no room for it, each process has a copy of its own, and the
    log says so.

    Raises:
        ConfigError: a file is missing, cut short, altered or not of this dataset; or there is
            room for it neither on the disk nor in memory.
    """
    size_bytes = source.size_bytes(split)
    if size_bytes < SMALL_BYTES:
        return source.read(split)
    name = _name(source, split)
    try:
        store = Store(private_folder())
        entry = store.find(name)
        return _written(store, name, source, split) if entry is None else entry
    except OSError as error:
        _require_memory(size_bytes, error)
        log.warning(
            "each process of this node keeps its own copy of the dataset, %s: none can be shared "
            "in the temporary folder (%s)",
            size_text(size_bytes),
            error,
        )
    return source.read(split)


def _require_memory(size_bytes: int, why: OSError) -> None:
    free = free_bytes()
    if free is not None and size_bytes > free:
        raise ConfigError(
            "TMPDIR",
            tempfile.gettempdir(),
            f"cannot hold the decoded dataset, {size_text(size_bytes)} ({why}), and no more than "
            f"{size_text(free)} of memory are free",
            "name a folder on a larger disk",
        ) from why


def count(source: ImageSource, split: Split) -> int:
    """Number of samples, after the checks of the files that decoding makes."""
    return len(read_shared(source, split)) if source.files(split) else source.count(split)


def _written(store: Store, name: str, source: ImageSource, split: Split) -> LabelledImages:
    with store.lock():
        entry = store.find(name)  # another process may have been first
        if entry is None:
            store.write(name, source.parts(split), source.size_bytes(split))
            entry = store.find(name)
    if entry is None:
        raise OSError(f"the entry {name} is not what was written")
    return entry


def _name(source: ImageSource, split: Split) -> str:
    """Equal for equal images: of the source's settings, and of its files as they are now."""
    files = [(str(file), *_stamp(file)) for file in source.files(split)]
    settings = (_FORMAT, np.__version__, type(source).__qualname__, source, split)
    return f"{_digest(settings)}-{_digest(files)}"


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
