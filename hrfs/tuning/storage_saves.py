"""Saves that fail are the disk's fault, not the trial's: the worker's side and the driver's."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hrfs.experiment.errors import StorageError

IN_A_ROW = 3
"""So many saves fail, and none goes well, before the disk or a worker is given up."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What the operating system says where nothing more can be written."""


class SaveError(StorageError):
    """A trial's state could not be written: raised on the worker."""


@contextmanager
def saving(folder: Path | str, made: Path | None = None) -> Iterator[None]:
    """What cannot be written within, to ``folder``, becomes :class:`SaveError`.

    Raises:
        SaveError: the disk is full or failing; the folder ``made`` for it is gone, if empty.
    """
    try:
        yield
    except OSError as error:
        if made is not None:
            with suppress(OSError):  # not empty, or a disk that takes no change at all
                made.rmdir()
        raise SaveError.of(error.filename or folder, error) from error


class FailedSaves:
    """Tells a full disk from a worker that alone cannot write."""

    def __init__(self) -> None:
        self._failed: dict[str, int] = {}
        """Saves of each worker that failed since its last that went well."""

    def note_saved(self, worker: str) -> None:
        """A trial's state is safe."""
        self._failed.pop(worker, None)

    def note_failed(self, worker: str, fault: SaveError, present: Iterable[str]) -> bool:
        """A trial's state is lost.

        Args:
            present: the workers that are there.

        Returns:
            Whether the worker alone is to blame, and must be taken out.

        Raises:
            StorageError: :data:`IN_A_ROW` saves failed, and no worker can save any more.
        """
        self._failed[worker] = self._failed.get(worker, 0) + 1
        several = sum(self._failed.values())
        if several >= IN_A_ROW and set(present) <= self._failed.keys():
            told = f"{fault.cause} ({several} saves in a row failed, on every worker)"
            raise StorageError(fault.path, told) from fault
        return self._failed[worker] >= IN_A_ROW
