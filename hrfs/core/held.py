"""Trials that workers hold, by the speed of their workers and by when they should be given back.

Starting and ending a slice cost O(log classes) and the move of some pointers within a list;
so do the questions, whatever the number of slices.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import NamedTuple

from hrfs.core.fenwick import Fenwick

_LOOKED_AT = 32
"""Slices that end next and are looked at to find those of faster workers."""


class _Held(NamedTuple):
    """A trial that a worker holds: its class of speed, and what was expected of the slice."""

    speed_class: int
    level_iterations: float
    progress_iterations: float
    end_s: float


class HeldTrials:
    """The slices under way. Of each one, half counts as done.

    A class of speed is a number from 0, the fastest, to ``classes``, which stands for unknown:
    behind all others. That of a slice is what its worker's was when it began.
    """

    def __init__(self, classes: int) -> None:
        self._trials = Fenwick(classes + 1)
        self._levels = Fenwick(classes + 1)
        self._held: dict[int, _Held] = {}
        self._ends: list[tuple[float, int, int]] = []
        self.progress_iterations = 0.0
        """Iterations of the slices under way that count as done."""

    def __len__(self) -> int:
        return len(self._held)

    def begin(
        self,
        slice_number: int,
        speed_class: int,
        from_iteration: int,
        iterations: int,
        end_s: float,
    ) -> None:
        """A slice starts that should end at ``end_s``."""
        level = from_iteration + iterations / 2
        self._held[slice_number] = _Held(speed_class, level, iterations / 2, end_s)
        self.progress_iterations += iterations / 2
        self._trials.add(speed_class, 1)
        self._levels.add(speed_class, level)
        insort(self._ends, (end_s, slice_number, speed_class))

    def end(self, slice_number: int) -> None:
        """A slice has ended, one way or the other. Raises KeyError if it never began."""
        held = self._held.pop(slice_number)
        self.progress_iterations -= held.progress_iterations
        self._trials.add(held.speed_class, -1)
        self._levels.add(held.speed_class, -held.level_iterations)
        del self._ends[bisect_left(self._ends, (held.end_s, slice_number, held.speed_class))]

    def count_from(self, speed_class: int) -> int:
        """Trials held by workers of that class or slower ones."""
        return round(self._trials.total - self._trials.before(speed_class))

    def level_from_iterations(self, speed_class: int) -> float:
        """Iterations done by those trials, summed."""
        return self._levels.total - self._levels.before(speed_class)

    def next_end_of_slower_s(self, speed_class: int, below_iterations: float) -> float | None:
        """When a worker of a slower class should next end a slice of a trial that is then below
        ``below_iterations``, as far as that is seen among the slices that end next.
        """
        for end_s, number, other in self._ends[:_LOOKED_AT]:
            if other > speed_class and end_s < math.inf:
                held = self._held[number]
                if held.level_iterations + held.progress_iterations < below_iterations:
                    return end_s
        return None

    def next_ends_s(self, speed_class: int, count: int) -> list[float]:
        """When slices on workers of faster classes should end, the first ``count`` of them.

        Looks at the slices that end next on any worker, so it may give fewer.
        """
        ends = []
        for end_s, _, other in self._ends[:_LOOKED_AT]:
            if other < speed_class:
                ends.append(end_s)
                if len(ends) == count:
                    break
        return ends
