"""Processes that we start do not outlive us, whatever we die of.

Ray's own servers are killed by the kernel when the driver dies, but its agents on a node stay
for a minute, and what a worker has started may stay for as long as it likes. A guard, a small
process in a session of its own, waits for our end and kills all that carry our mark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "HRFS_LIFELINE"
"""Variable in the environment of every process that must not outlive its driver."""
KEEP_ENVIRONMENT = "SPT_NOENV"
"""Keeps Ray's processes from writing their titles over what the guard reads: its agents on a node,
whom nobody else ends, would lose the mark."""

_guard: tuple[str, subprocess.Popen[bytes]] | None = None


@contextmanager
def not_outliving_us() -> Iterator[None]:
    """What is started in this block ends within seconds of this process, with all it starts.

    On Linux; elsewhere there is no telling whose process is whose.

    Raises:
        OSError: the guard cannot be started.
    """
    if not Path("/proc/self/environ").exists():
        yield
        return
    wanted = {MARK: _guarded(), KEEP_ENVIRONMENT: "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ |= wanted
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _guarded() -> str:
    """The mark that our guard looks for; started once, and again if somebody killed it."""
    global _guard
    if _guard is None or _guard[1].poll() is not None:
        mark = f"{os.getpid()}-{uuid.uuid4().hex}"
        program = Path(__file__).with_name("guard.py")
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(program), f"{MARK}={mark}"],
            cwd="/",
            env={name: value for name, value in os.environ.items() if name != MARK},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C, and a kill of our group, must not meet it
        )
        assert guard.stdin is not None
        os.register_at_fork(after_in_child=guard.stdin.close)
        _guard = mark, guard
    return _guard[0]
