"""For how long a worker that failed us stays out. Knows times alone, and no Ray."""

from __future__ import annotations

from dataclasses import dataclass

FORGIVEN_AFTER = 10
"""Slices that a worker has to finish, without a fault between, for its faults to be forgotten."""
LONGEST_S = 86_400.0
"""No worker stays out for longer at a time."""


@dataclass(slots=True)
class _Faults:
    count: int = 0
    finished: int = 0
    """Slices finished since the last one."""


class Quarantine:
    """Counts the faults of workers: the stay after each is twice as long as the one before."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._faults: dict[str, _Faults] = {}

    def enter(self, worker: str) -> float:
        """A further fault; returns for how many seconds the worker is to stay out."""
        known = self._faults.setdefault(worker, _Faults())
        known.count, known.finished = known.count + 1, 0
        return min(self._first_s * 2.0 ** min(known.count - 1, 60), LONGEST_S)

    def finished_slice(self, worker: str) -> None:
        """The worker has done a slice."""
        known = self._faults.get(worker)
        if known is not None:
            known.finished += 1
            if known.finished >= FORGIVEN_AFTER:
                del self._faults[worker]

    def faults(self, worker: str) -> int:
        """Faults of the worker that are not forgotten yet."""
        known = self._faults.get(worker)
        return known.count if known is not None else 0
