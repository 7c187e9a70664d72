"""Writing a file so that a reader sees all of it or nothing of it."""

from __future__ import annotations

import os
import stat
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
        move_into_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def move_into_place(temporary: Path, path: Path) -> None:
    """Give the finished file ``temporary`` the name ``path``, once it is safe on the disk.

    All may read it, as colleagues must, and its owner alone may write, whatever the umask.

    Raises:
        OSError: the disk is full or failing; ``path`` is untouched.
    """
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.chmod(0o644)
    temporary.replace(path)


def let_no_others_write() -> None:
    """Make this process, and those that it starts, create nothing that everybody may write to.

    Group permissions stay as the user's umask has them: labs share folders by group.
    """
    umask = os.umask(0o077)
    os.umask(umask | stat.S_IWOTH)
