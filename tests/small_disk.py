"""A disk that a test can fill: a real file system of a few megabytes."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted file system. ``folder`` is where."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, leave_bytes: int = 0) -> None:
        """Take all space but for so many bytes."""
        held = os.statvfs(self.folder)
        room = held.f_bavail * held.f_frsize - leave_bytes
        with self._ballast.open("ab", buffering=0) as stream:
            while room > 0:
                try:
                    room -= stream.write(bytes(min(room, 2**16)))
                except OSError:
                    return  # others write too, and were faster

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink()


@contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """A tmpfs of that size at ``folder``; skips the test where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no command to mount a file system with")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def limit_files(pid: int, size_bytes: int) -> None:
    """Have the kernel refuse a process what would make any file longer than that."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))
