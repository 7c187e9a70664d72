"""Decoded datasets in files of this node, mapped into memory by each process that wants them.

An entry is one file, which takes its name when it is whole::

    head      4096 bytes   JSON: shape of the images, SHA-256 of images and labels
    images    uint8, shape (samples, height, width, channels), filled up to whole 4096 bytes
    labels    int64, shape (samples,), in the order of this machine's bytes

Nothing of it is unpickled. The system keeps one copy of a mapped file for all processes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from hrfs.experiment.files import fill_atomically
from hrfs.training.host_memory import size_text
from hrfs.training.sources.base import LABEL_BYTES, LabelledImages

BLOCK = 4096
"""Bytes of the head; labels begin at a multiple of it."""
UNUSED_S = 14 * 24 * 3600.0
"""An entry that nobody has opened for so long is removed when another is written."""
RESERVE = 0.05
"""Part of the disk that is left free: others have files there too."""
HASHED_BYTES = 2 * 2**30
"""Up to here an entry's digest is checked when it is opened, above its length alone: hashing
takes most of a second for each gigabyte."""
_LOCK = ".lock"


def private_folder() -> Path:
    """This user's folder for such entries on this node, made if missing.

    It lies in the temporary folder, which is the node's own even where home folders are shared.

    Raises:
        OSError: it cannot be made, or another user could look into it or write to it.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"hrfs-datasets-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    for_others = stat.S_IMODE(found.st_mode) & 0o077
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or for_others:
        raise PermissionError(f"{folder} is no folder of this user alone")
    return folder


class Store:
    """The entries in one folder, by name. A name is ``<what>-<of which files>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lock(self) -> FileLock:
        """To be held by the one process that writes."""
        return FileLock(self._folder / _LOCK)

    def find(self, name: str) -> LabelledImages | None:
        """The entry of that name, mapped into memory; None if there is none, or a damaged one.

        What is written into its arrays stays with the process.
        """
        file = self._folder / name
        try:
            with file.open("rb") as stream:
                head = json.loads(stream.read(BLOCK))
            entry = _mapped(file, head["shape"])
            os.utime(file)  # somebody wants it
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if entry.images.nbytes > HASHED_BYTES or _sha256(entry) == head.get("sha256"):
            return entry
        return None

    def write(self, name: str, parts: Iterable[LabelledImages], size_bytes: int) -> None:
        """Write an entry, part by part, and remove what nobody needs any more.

        Args:
            parts: at least one; of about ``size_bytes`` together.

        Raises:
            OSError: there is no room, or the folder cannot be written; no entry is left then.
        """
        self._tidy(name)
        total, _, free = shutil.disk_usage(self._folder)
        if size_bytes > free - RESERVE * total:
            raise OSError(f"no room in {self._folder}, where {size_text(free)} are free")
        fill_atomically(self._folder / name, lambda stream: _fill(stream, parts))

    def _tidy(self, name: str) -> None:
        """Remove the entry itself (it is damaged), its like of files that have changed since,
        what a writer that died has left, and what nobody has opened for long.

        A process that has it mapped keeps it.
        """
        what, oldest_s = name.rpartition("-")[0], time.time() - UNUSED_S
        for file in self._folder.iterdir():
            if file.name == _LOCK:  # which we alone hold
                continue
            half = file.name.startswith(".")
            if half or file.name.startswith(f"{what}-") or file.stat().st_mtime < oldest_s:
                file.unlink(missing_ok=True)


def _mapped(file: Path, shape: Iterable[int]) -> LabelledImages:
    """The arrays in ``file``.

    Raises:
        ValueError: it is shorter or longer than they are.
    """
    samples, height, width, channels = map(int, shape)
    labels_at = _labels_at(samples * height * width * channels)
    if file.stat().st_size != labels_at + samples * LABEL_BYTES:
        raise ValueError(f"{file} has the wrong length")
    # copy on write, for torch warns of arrays that cannot be written to
    images = np.memmap(file, np.uint8, "c", BLOCK, (samples, height, width, channels))
    return LabelledImages(images, np.memmap(file, np.int64, "c", labels_at, (samples,)))


def _labels_at(image_bytes: int) -> int:
    """Where labels begin behind so many bytes of images."""
    return BLOCK * (1 + math.ceil(image_bytes / BLOCK))


def _fill(stream: BinaryIO, parts: Iterable[LabelledImages]) -> None:
    stream.write(bytes(BLOCK))
    digest, labels, picture, image_bytes = hashlib.sha256(), [], (0, 0, 0), 0
    for part in parts:
        content = _bytes(part.images)
        stream.write(content)
        digest.update(content)
        labels.append(part.labels)
        picture, image_bytes = part.images.shape[1:], image_bytes + content.nbytes
    content = _bytes(np.concatenate(labels))
    stream.write(bytes(_labels_at(image_bytes) - BLOCK - image_bytes))
    stream.write(content)
    digest.update(content)
    head = {"shape": (sum(map(len, labels)), *picture), "sha256": digest.hexdigest()}
    stream.seek(0)
    stream.write(json.dumps(head).encode().ljust(BLOCK))


def _sha256(entry: LabelledImages) -> str:
    digest = hashlib.sha256(_bytes(entry.images))
    digest.update(_bytes(entry.labels))
    return digest.hexdigest()


def _bytes(array: NDArray[np.uint8] | NDArray[np.int64]) -> memoryview:
    return np.ascontiguousarray(array).data.cast("B")
