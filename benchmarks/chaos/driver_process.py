"""The driver as a process of its own, so that it can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MODULE = "benchmarks.chaos.driver"


class Driver:
    """``python -m hrfs`` with the runner of this benchmark; its output goes to ``printed``."""

    def __init__(self, printed: Path) -> None:
        self._printed = printed
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, arguments: Sequence[str]) -> None:
        """Begin a run or go on with one."""
        with self._printed.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, *arguments],
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """SIGKILL of it and of what it has started itself."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
