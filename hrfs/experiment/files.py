"""Writing a file so that a reader sees all of it or nothing of it, and a power cut undoes nothing.

Everything that hrfs keeps is written by these functions; a test reads the sources for others.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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


def fill_atomically(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """As :func:`write_atomically`, with what ``fill`` writes; it may seek.

    Raises:
        OSError: the folder cannot be written or the disk is full; ``path`` is untouched.
    """
    with _filled(path, fill) as temporary:
        move_into_place(temporary, path)


def create_atomically(path: Path, data: str) -> None:
    """Write the new file ``path``; of several that try, one alone gets it.

    Raises:
        FileExistsError: there is one; it is untouched.
        OSError: the folder cannot be written or the disk is full; there is no ``path`` then.
    """
    with _filled(path, lambda stream: stream.write(data.encode())) as temporary:
        _finish(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            path.touch(exist_ok=False)  # a network share without them: the name comes first
            temporary.replace(path)
        sync_folder(path.parent)


_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def _filled(path: Path, fill: Callable[[BinaryIO], object]) -> Iterator[Path]:
    """A temporary file beside ``path`` with what ``fill`` writes; gone afterwards."""
    make_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            fill(stream)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def move_into_place(temporary: Path, path: Path) -> None:
    """Give the finished file ``temporary`` the name ``path``, once it is safe on the disk.

    All may read it, as colleagues must, and its owner alone may write, whatever the umask.

    Raises:
        OSError: the disk is full or failing; ``path`` is untouched.
    """
    _finish(temporary)
    temporary.replace(path)
    sync_folder(path.parent)


def _finish(temporary: Path) -> None:
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.chmod(0o644)


def append(path: Path, at: int, data: bytes, durably: bool = False) -> int:
    """Write ``data`` at offset ``at`` of ``path``, and return the new size.

    What lies behind ``at`` (a torn line) is cut off; with ``at`` 0 the file begins anew. What a
    write that broke off half-way (disk full) has left is cut off again. The file is opened for
    each call: one descriptor at a time, however many files. ``durably``: it is on the disk then.

    Raises:
        OSError: the file cannot be written; its first ``at`` bytes are untouched.
    """
    make_folder(path.parent)
    with path.open("r+b" if at else "wb", buffering=0) as stream:
        stream.truncate(at)
        stream.seek(at)
        view = memoryview(data)
        try:
            while view:
                view = view[stream.write(view) :]
            if durably:
                os.fsync(stream.fileno())
        except OSError:
            stream.truncate(at)
            raise
    if durably and not at:  # so that the name, too, outlives the machine
        sync_folder(path.parent)
    return at + len(data)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and its parents, as far as they are missing, so that they stay.

    Raises:
        OSError: that cannot be.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` on the disk.

    Raises:
        OSError: the disk is failing.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""What some network shares say to an fsync of a folder; they keep names in their own way."""


def let_no_others_write() -> None:
    """Make this process, and those that it starts, create nothing that everybody may write to.

    Group permissions stay as the user's umask has them: labs share folders by group.
    """
    umask = os.umask(0o077)
    os.umask(umask | stat.S_IWOTH)
