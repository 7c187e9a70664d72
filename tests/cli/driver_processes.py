"""Drivers in processes of their own, and every process that descends from them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hrfs.experiment.event_log import EVENTS_NAME
from hrfs.tuning.guard import PROCESSES, marked

ROOT = Path(__file__).resolve().parents[2]
START_S = 250.0
"""What a start may take on a loaded machine; nothing is measured by it."""


@dataclass
class Driver:
    """A process, what it prints, and the mark that all its descendants inherit."""

    process: subprocess.Popen[bytes]
    cwd: Path
    mark: bytes

    @property
    def printed(self) -> str:
        """Standard output and error so far."""
        return (self.cwd / "printed").read_text()

    def descendants(self) -> dict[int, str]:
        """Living processes of this driver, itself included, and what they are called."""
        return {pid: title(pid) for pid in marked(self.mark)}

    def wait_for(self, what: Callable[[], object]) -> None:
        """Until ``what`` is true; the driver must live that long."""
        deadline = time.monotonic() + START_S
        while not what():
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.02)

    def wait_for_process(self, name: str) -> None:
        """Until a descendant has ``name`` in its title."""
        self.wait_for(lambda: any(name in called for called in self.descendants().values()))

    def wait_for_slices(self, wanted: int, folder: str = "cut") -> None:
        """Until so many slices are in the event log."""
        log = self.cwd / folder / "trials" / EVENTS_NAME
        self.wait_for(lambda: log.exists() and log.read_bytes().count(b'"SliceDone"') >= wanted)

    def signal(self, number: signal.Signals) -> float:
        """Send to the driver alone; gives the time of it."""
        os.kill(self.process.pid, number)
        return time.monotonic()

    def seconds_to_end(self, since: float) -> float:
        """How long the driver took to end."""
        self.process.wait(timeout=60)
        return time.monotonic() - since

    def seconds_to_vanish(self, since: float) -> float:
        """How long its last descendant took to end."""
        while (left := self.descendants()) and time.monotonic() - since < 60:
            time.sleep(0.05)
        assert not left, left
        return time.monotonic() - since


def title(pid: int) -> str:
    """What the process calls itself, empty if it is gone."""
    with contextlib.suppress(OSError):
        return (PROCESSES / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


@contextmanager
def driver(cwd: Path, *program: str, path: Sequence[Path] = (ROOT,)) -> Iterator[Driver]:
    """Run ``python *program``; nothing of it is left at the end of the block."""
    mark = uuid.uuid4().hex
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONUNBUFFERED": "1",
        "DRIVER_MARK": mark,
    }
    with (cwd / "printed").open("ab") as printed:
        process = subprocess.Popen(
            [sys.executable, *program],
            cwd=cwd,
            env=environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = Driver(process, cwd, mark.encode())
    try:
        yield started
    finally:
        for pid in started.descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
