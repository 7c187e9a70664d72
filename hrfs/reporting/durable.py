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
        self.fault = ""
        """Why the last write failed; empty if it did not."""
        self._told = False

    def attempt(self, write: Callable[[], object]) -> bool:
        """Call ``write``; False after an OSError, of which only the first one is a warning."""
        try:
            write()
        except OSError as error:
            cause = error.strerror or str(error)
            self.fault = f"{self.path} cannot be written: {cause}"
            self._tell(cause)
            return False
        if self.fault:
            _log.info("%s is written again", self.path)
            self.fault = ""
        return True

    def _tell(self, cause: str) -> None:
        if self._told:
            _log.debug("%s still cannot be written: %s", self.path, cause)
            return
        self._told = True
        self._warn(
            f"{self.path} cannot be written: {cause}; training goes on and the write is tried "
            "again at the next event: free space or mend the permissions of its folder"
        )
