"""Writing a file so that a reader sees all of it or nothing of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, data: bytes | str | Iterable[bytes | memoryview]) -> None:
    """Write ``data`` to ``path`` by way of a temporary file in the same folder.

    The file is flushed to the disk before it takes its name, so a crash leaves either the
    old content or the new one. The folder is created if it is missing.

    Raises:
        OSError: the folder cannot be written or the disk is full; ``path`` is untouched.
    """
    chunks: Iterable[bytes | memoryview]
    if isinstance(data, str):
        chunks = [data.encode()]
    elif isinstance(data, bytes):
        chunks = [data]
    else:
        chunks = data

    def fill(stream: BinaryIO) -> None:
        for chunk in chunks:
            stream.write(chunk)

    fill_atomically(path, fill)


def fill_atomically(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """As :func:`write_atomically`, with what ``fill`` writes; it may seek.

    Raises:
        OSError: the folder cannot be written or the disk is full; ``path`` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)  # mkstemp's 0600 would shut colleagues out
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
