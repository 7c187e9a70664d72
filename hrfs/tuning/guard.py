"""Ends what the Ray of a run leaves behind when its driver dies. A program of its own.

    python -I -S guard.py MARK

Its standard input is a pipe that the driver alone can write to: that ends with the driver,
however the driver ends. Then every process whose environment holds MARK is killed, wherever it
hangs in the tree of processes. It imports nothing but the standard library, to stay small.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

PROCESSES = Path("/proc")
GIVE_UP_S = 8.0
"""Seconds after which what still lives cannot be killed, being stuck in the kernel."""


def marked(mark: bytes) -> list[int]:
    """Ids of the living processes that were started with ``mark`` in their environment."""
    ids = [int(entry.name) for entry in PROCESSES.iterdir() if entry.name.isdigit()]
    return [number for number in ids if _has(number, mark)]


def _has(number: int, mark: bytes) -> bool:
    try:
        return mark in (PROCESSES / str(number) / "environ").read_bytes()
    except OSError:
        return False  # ended meanwhile, or another user's


def end_marked(mark: bytes) -> list[int]:
    """SIGKILL them until none is left, also what they start meanwhile; gives those left."""
    deadline_s = time.monotonic() + GIVE_UP_S
    quiet = 0
    while quiet < 2 and time.monotonic() < deadline_s:
        left = marked(mark)
        quiet = 0 if left else quiet + 1
        for number in left:
            _kill(number, mark)
        time.sleep(0.1)
    return marked(mark)


def _kill(number: int, mark: bytes) -> None:
    """Through a handle, since the number may be another process's by now."""
    try:
        handle = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        if _has(number, mark):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def main() -> int:
    """Wait for the driver's end; the exit code says whether anything could not be killed."""
    sys.stdin.buffer.read()
    return 1 if end_marked(os.fsencode(sys.argv[1])) else 0


if __name__ == "__main__":
    sys.exit(main())
