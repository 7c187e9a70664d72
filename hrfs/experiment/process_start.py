"""Making the start of a process cheap: how it imports, and when."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

TURN_WITHIN_S = 60.0
"""A process that has waited so long starts beside the others: one of them may hang."""
_LOOK_EVERY_S = 0.02


def import_in_turn(*modules: str) -> None:
    """Import ``modules``, in turn with other processes that start; at once if they are there.

    Raises:
        ImportError: as the import does.
    """
    missing = [module for module in modules if module not in sys.modules]
    if missing:
        with in_turn(), without_collecting():
            for module in missing:
                importlib.import_module(module)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Keep the garbage collector from searching what imports make, which nearly all stays.

    It takes a fifth of the import of torch and Lightning.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def keep_for_good() -> None:
    """Have the garbage collector search no more what is there now: modules, for the most part.

    It waits with a full search until a quarter as much has come to what there is. Beside the half
    a million objects that torch and Ray Tune import, the circles of thousands of slices would be
    little; and the search, when it came, would take a third of a second.
    """
    gc.freeze()


@contextmanager
def in_turn(within_s: float = TURN_WITHIN_S, places: int | None = None) -> Iterator[bool]:
    """Hold one of this machine's ``places`` for processes that start, one per core by default.

    Starting is all computation. Where a machine has more workers than cores, each would be as
    late as the last if all started at once; in turn, the first train long before. Gives True if
    a place came free within ``within_s`` seconds; else, and where the temporary folder has no locks
    for us, the process is to start all the same. The system frees the place of a process that dies.
    """
    number = places or os.cpu_count() or 1
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir())
    locks = [FileLock(folder / f"hrfs-start-{user}-{n}-of-{number}.lock") for n in range(number)]
    give_up_s = time.monotonic() + within_s
    with ExitStack() as stack:
        try:
            while not (held := _take_one(locks, stack)) and time.monotonic() < give_up_s:
                time.sleep(_LOOK_EVERY_S)
        except OSError:  # a file of another user's has the name
            held = False
        yield held


def _take_one(locks: list[FileLock], stack: ExitStack) -> bool:
    for lock in locks:
        try:
            stack.enter_context(lock.acquire(blocking=False))
        except Timeout:
            continue
        return True
    return False
