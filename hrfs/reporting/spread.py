"""How far the trials of a population are apart in the course of a run."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hrfs.experiment.records import SliceRecord
from hrfs.reporting.figures import window_s


@dataclass(frozen=True, slots=True)
class Spread:
    """Leader minus last, and leader minus the average trial, in iterations.

    Means are weighted by time, from the first start to the last end.
    """

    mean_iterations: float
    largest_iterations: int
    mean_staleness_iterations: float
    """How many iterations a trial is behind the leader, on average over trials and time."""


def spread(records: Sequence[SliceRecord], trials: int) -> Spread | None:
    """How far ``trials`` trials were apart. None if no time passed.

    A trial's iterations change when its slice ends. Costs O(slices * log(slices)).
    """
    if not records:
        return None
    begin_s, end_s = window_s(records)
    if end_s <= begin_s:
        return None
    at = _Iterations(trials)
    area, stale, largest, now_s = 0.0, 0.0, 0, begin_s
    for record in sorted(records, key=lambda r: (r.end_s, r.slice)):
        passed_s = record.end_s - now_s
        apart = at.leader - at.last
        area += apart * passed_s
        stale += (at.leader - at.total / trials) * passed_s
        now_s = record.end_s
        at.move(record.trial, record.to_iteration)
        largest = max(largest, at.leader - at.last)
    span_s = end_s - begin_s
    return Spread(area / span_s, largest, stale / span_s)


class _Iterations:
    """Where every trial is; leader, last and total are kept up with each move."""

    def __init__(self, trials: int) -> None:
        self._at = [0] * trials
        self._trials_at = Counter({0: trials})
        self._ascending = [0]
        """A heap of the iterations at which trials are, or have been."""
        self.leader = 0
        self.total = 0

    @property
    def last(self) -> int:
        """Iterations of the trial that has done the fewest."""
        while not self._trials_at[self._ascending[0]]:
            heapq.heappop(self._ascending)
        return self._ascending[0]

    def move(self, trial: int, iteration: int) -> None:
        """``trial`` has done ``iteration`` iterations now."""
        before = self._at[trial]
        self._at[trial] = iteration
        self._trials_at[before] -= 1
        if not self._trials_at[iteration]:
            heapq.heappush(self._ascending, iteration)
        self._trials_at[iteration] += 1
        self.total += iteration - before
        self.leader = max(self.leader, iteration)
