"""Processes of this machine by their parents and titles, as Linux's ``/proc`` tells them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TITLE = "ray::RunnerTrainable"
"""How Ray titles the process of a worker, followed by the method that it is in."""
TRAINING = f"{TITLE}.train"


def descendants(root: int) -> list[int]:
    """All processes below ``root``."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            parent = _parent(entry)
            if parent is not None:
                children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _parent(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None  # it has ended meanwhile
    # The name, in brackets, may hold anything; state and parent follow.
    return int(stat.rpartition(")")[2].split()[1])


def title(process: int) -> str:
    """What a process calls itself; empty if it has ended."""
    try:
        told = (PROC / str(process) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return told.replace(b"\0", b" ").decode(errors="replace").strip()


def workers_below(root: int, wanted: str = TITLE) -> list[int]:
    """Processes below ``root`` that are a run's workers and whose title begins with ``wanted``."""
    return [process for process in descendants(root) if title(process).startswith(wanted)]


def send(number: signal.Signals, processes: Iterable[int]) -> None:
    """A signal to each that is still there."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def kill_tree(root: int) -> None:
    """SIGKILL of ``root`` and of all that it has started."""
    below = descendants(root)
    send(signal.SIGKILL, [root, *below])
