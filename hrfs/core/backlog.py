"""The work that is left: how far each unfinished trial is, and what all have yet to do."""

from __future__ import annotations

import heapq
from typing import NamedTuple


class _Left(NamedTuple):
    iteration: int
    work: float


class Backlog:
    """Unfinished trials. Work is counted in iterations of an average trial."""

    def __init__(self, stop_iterations: int) -> None:
        self._stop = stop_iterations
        self._left: dict[int, _Left] = {}
        self._ages: list[tuple[int, int]] = []
        self.work = 0.0
        """Work left, as of the last slice that ended of each trial."""
        self.iterations = 0
        """Iterations done by the unfinished trials, summed."""

    def __len__(self) -> int:
        return len(self._left)

    def set(self, trial: int, iteration: int, work_factor: float) -> None:
        """A trial has done ``iteration`` iterations, each worth ``work_factor`` average ones."""
        self.drop(trial)
        left = _Left(iteration, (self._stop - iteration) * work_factor)
        self._left[trial] = left
        self.work += left.work
        self.iterations += iteration
        heapq.heappush(self._ages, (iteration, trial))

    def drop(self, trial: int) -> None:
        """The trial trains no more; nothing happens if it is not here."""
        left = self._left.pop(trial, None)
        if left is not None:
            self.work -= left.work
            self.iterations -= left.iteration

    @property
    def last_iteration(self) -> int:
        """Iterations of the least advanced trial. Raises IndexError if none is left."""
        while True:
            iteration, trial = self._ages[0]
            left = self._left.get(trial)
            if left is not None and left.iteration == iteration:
                return iteration
            heapq.heappop(self._ages)
