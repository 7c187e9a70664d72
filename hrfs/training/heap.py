"""How the C library treats the memory that a training step frees, on a CPU.

A step allocates and frees its activations over and over. By default glibc maps each large block
anew and unmaps it when it is freed, so that the system clears all its pages in every step: up to
a tenth of the step where activations are large. Here freed memory stays with the process while it
trains. It is given back, if that is worth its time, when training ends, for an evaluation needs
blocks of other sizes which would come on top; and when a slice ends, for others of the node could
use it while the worker waits, has retired, or trains what needs less.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import time
from pathlib import Path
from typing import Any

DEARER = 50
"""At one of these moments memory is given back again once so many times as long has passed as it
took, and its undoing."""
BACK_MIB_PER_S = 1000.0
"""At which the system clears pages and hands them out again, about."""
USERS_OWN = ("MALLOC_", "GLIBC_TUNABLES")
"""Environment variables by which a user sets the same: how they begin."""
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of malloc.h; see mallopt(3)."""
_NEVER = 2**31 - 1
_STATM, _MEMINFO = Path("/proc/self/statm"), Path("/proc/meminfo")


class Heap:
    """That of this process. Left alone where the C library is not glibc, or set by the user."""

    def __init__(self) -> None:
        set_by_user = any(name.startswith(USERS_OWN) for name in os.environ)
        self._glibc = None if set_by_user else _glibc()
        self._kept = False
        self._not_before_s: dict[str, float] = {}

    def keep_freed(self) -> None:
        """From now on keep what is freed, until it is given back."""
        if self._glibc is not None and not self._kept:
            self._kept = True
            self._glibc.mallopt(_M_MMAP_MAX, 0)
            self._glibc.mallopt(_M_TRIM_THRESHOLD, _NEVER)

    def give_back(self, moment: str) -> None:
        """Give the system what was kept and is free, if that is worth its time at such a moment by
        now, or if the machine has less left than the process holds.
        """
        if self._glibc is None or not self._kept:
            return
        begun_s, before = time.monotonic(), _resident_mib()
        if begun_s < self._not_before_s.get(moment, 0.0) and before < _available_mib():
            return
        self._glibc.malloc_trim(ctypes.c_size_t(0))
        freed = max(0.0, before - _resident_mib())
        ended_s = time.monotonic()
        cost_s = ended_s - begun_s + freed / BACK_MIB_PER_S
        self._not_before_s[moment] = ended_s + DEARER * cost_s


def _glibc() -> Any:
    """The C library, if it has what is used of it here; else None."""
    if os.name != "posix" or not (_STATM.exists() and _MEMINFO.exists()):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def _resident_mib() -> float:
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _available_mib() -> float:
    """What the machine has left for new work, by the system's own estimate."""
    told = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMINFO.read_text(), re.MULTILINE)
    return math.inf if told is None else int(told[1]) / 1024
