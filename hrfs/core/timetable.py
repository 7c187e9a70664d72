"""Hyperparameters that are given for each iteration beforehand, instead of being found."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Timetable:
    """Values by the iteration from which on they hold; the first stretch begins at 0.

    Raises:
        ValueError: no stretch, a first one that does not begin at 0, or one before its predecessor.
    """

    stretches: tuple[tuple[int, Mapping[str, Any]], ...]

    def __post_init__(self) -> None:
        starts = self._starts
        if not starts or starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
            raise ValueError(f"a timetable must begin at 0 and go on, not {starts}")

    @property
    def _starts(self) -> list[int]:
        return [start for start, _ in self.stretches]

    def values_at(self, iteration: int) -> dict[str, Any]:
        """The values of the step that follows ``iteration`` steps."""
        return dict(self.stretches[bisect_right(self._starts, iteration) - 1][1])

    def room(self, iteration: int) -> int | None:
        """Steps from there to the next change; None if there is none."""
        later = bisect_right(self._starts, iteration)
        return None if later == len(self.stretches) else self.stretches[later][0] - iteration
