"""``failures.log``: a line for each slice that was lost, and the tracebacks.

Under the first failure of each reason stands its traceback, as it was raised in the worker's
process, from the user's own code on. A resumed run adds to the file.
"""

from __future__ import annotations

from pathlib import Path

from hrfs.experiment.files import append
from hrfs.experiment.observer import Observer
from hrfs.experiment.records import FailureRecord
from hrfs.reporting.cells import one_line
from hrfs.reporting.durable import Warn, WriteGuard, log_warning

MOST_TRACEBACKS = 20
"""So that a reason that is never twice the same (with the number of a process) fills no disk."""


def failure_line(record: FailureRecord) -> str:
    """``slice 12, trial 3, worker box/cpu:0: exception: ValueError: shapes differ``."""
    named = {"slice": record.slice, "trial": record.trial, "worker": record.worker}
    what = ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
    return f"{what}{': ' if what else ''}{record.kind}: {one_line(record.reason)}"


class FailureLog(Observer):
    """Writes ``path`` as slices are lost; without a failure there is no file."""

    def __init__(self, path: Path, warn: Warn = log_warning) -> None:
        self._path = path
        self._guard = WriteGuard(path, warn)
        self._pending = ""
        self._explained: set[str] = set()

    def on_failure(self, record: FailureRecord) -> None:
        self._pending += f"{record.time_s:.1f} s: {failure_line(record)}\n"
        if self._is_new(record):
            self._explained.add(record.reason)
            self._pending += "".join(f"    {line}\n" for line in record.traceback.splitlines())
        self._write()

    def on_tick(self, time_s: float) -> None:
        if self._pending:
            self._write()

    def on_end(self, time_s: float) -> None:
        if self._pending:
            self._write()

    def _is_new(self, record: FailureRecord) -> bool:
        room = len(self._explained) < MOST_TRACEBACKS
        return bool(record.traceback) and room and record.reason not in self._explained

    def _write(self) -> None:
        def write() -> None:
            # what an earlier driver wrote stays
            size = self._path.stat().st_size if self._path.is_file() else 0
            append(self._path, size, self._pending.encode(errors="backslashreplace"))
            self._pending = ""

        self._guard.attempt(write)
