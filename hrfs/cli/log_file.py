"""``hrfs.log``, without which a run can do."""

from __future__ import annotations

import logging
import sys


class LogFile(logging.FileHandler):
    """A log file; that it cannot be written is told once, and each line is tried.

    Python's own prints a traceback for each line that cannot be written.
    """

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Called with the exception under way."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            told = f"hrfs: {self.baseFilename} cannot be written: {error.strerror or error}"
            print(f"{told}; the run goes on", file=sys.stderr)

    def close(self) -> None:
        """Close the file; what it still cannot take is lost, which has been told."""
        try:
            super().close()
        except OSError:
            if not self._told:
                raise
