"""Failed writes are told once, tried again at the next event, and never end the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

Warn = Callable[[str], None]
"""Takes a one-line warning: logs it, and may keep it for the summary."""

_log = logging.getLogger("hrfs")


def log_warning(message: str) -> None:
    """A :data:`Warn` that only logs."""
    _log.warning("%s", message)


class WriteGuard:
    """Runs the writes of one file (or folder) and stands for what becomes of their errors."""

    def __init__(self, path: Path, warn: Warn = log_warning) -> None:
        self.path = path
        self._warn = warn
        self._failing = False
        self._told = False

    def attempt(self, write: Callable[[], object]) -> bool:
        """Call ``write``; False after an OSError, of which only the first one is a warning."""
        try:
            write()
        except OSError as error:
            self._tell(error)
            self._failing = True
            return False
        if self._failing:
            _log.info("%s is written again", self.path)
            self._failing = False
        return True

    def _tell(self, error: OSError) -> None:
        cause = error.strerror or str(error)
        if self._told:
            _log.debug("%s still cannot be written: %s", self.path, cause)
            return
        self._told = True
        self._warn(
            f"{self.path} cannot be written: {cause}; training goes on and the write is tried "
            "again at the next event: free space or mend the permissions of its folder"
        )


def append_bytes(path: Path, at: int, data: bytes) -> int:
    """Write ``data`` at offset ``at`` of ``path``, drop what lies behind; return the new size.

    What a write that broke off half-way (disk full) has left is cut off again, so that no torn
    piece stands in the middle of the file when it is tried again. The file is made if it is
    missing and ``at`` is 0. It is opened for each call: one descriptor at a time, however many
    files.

    Raises:
        OSError: the file cannot be opened or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if at else "wb", buffering=0) as stream:
        stream.truncate(at)
        stream.seek(at)
        view = memoryview(data)
        try:
            while view:
                view = view[stream.write(view) :]
        except OSError:
            stream.truncate(at)
            raise
    return at + len(data)
