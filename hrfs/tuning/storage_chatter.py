"""What Ray Tune says when its own snapshot cannot be written: one line, once.

The snapshot is for ``Tuner.restore`` alone, so a run goes on without it; Tune would log a
traceback at each try.
"""

from __future__ import annotations

import logging

LOGGERS = ("ray.tune.execution.experiment_state", "ray.train._internal.syncer")
"""Loggers of Ray's that tell of it; a test has both of them say it."""
GOES_ON = "Ray Tune's own snapshot cannot be written (%s); the run goes on without it"
_BEGINNINGS = ("Saving experiment state to storage", "Last sync command failed")


class OnceInOneLine(logging.Filter):
    """Shortens the first such message, and drops those that follow."""

    def __init__(self) -> None:
        super().__init__()
        self._told = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        message = record.getMessage()
        if not message.startswith(_BEGINNINGS):
            return True
        if self._told:
            return False
        self._told = True
        cause = record.exc_info[1] if record.exc_info else None
        words = str(cause) if cause else message.strip().splitlines()[-1]
        record.msg, record.args = GOES_ON, (" ".join(words.split()),)
        record.exc_info = record.exc_text = None
        return True


def shorten() -> None:
    """Have Ray's loggers tell it so, also of an earlier run in this process."""
    once = OnceInOneLine()
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for old in [f for f in logger.filters if isinstance(f, OnceInOneLine)]:
            logger.removeFilter(old)
        logger.addFilter(once)
