"""Where weights come from, out of the slices alone.

A slice with a ``parent`` began with weights that its trial took over when its slice before ended.
Whatever the donor held at that moment came along: the weights of its last ended slice or, if the
donor had itself taken over others and not yet trained them, those. Slices that ended at the same
time ended in the order of their numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hrfs.experiment.records import SliceRecord
from hrfs.experiment.schedule import Schedule, Stretch, Value
from hrfs.reporting.cells import plain

Moment = tuple[float, int]
"""Seconds of an end, and the number of the slice that ended."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """An exploit whose weights were trained on."""

    taker: SliceRecord
    """The first slice that began with them."""
    before: SliceRecord
    """The taker's slice at whose end they were taken over."""
    source: SliceRecord
    """The slice that trained them last."""


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The slices that trained a trial's weights, oldest first, and what is not known of them."""

    slices: tuple[SliceRecord, ...]
    gap: str = ""
    """Why the first slices are missing; empty if none is."""


class Lineages:
    """Answers where weights come from; ``records`` may be of a run that is under way."""

    def __init__(self, records: Sequence[SliceRecord]) -> None:
        self._of: dict[int, list[SliceRecord]] = {}
        for record in sorted(records, key=_moment):
            self._of.setdefault(record.trial, []).append(record)
        self._ends = {trial: [_moment(r) for r in mine] for trial, mine in self._of.items()}

    def takeovers(self) -> list[Takeover]:
        """All exploits whose donor's slices are known, in the order of their slices' ends."""
        found = []
        for mine in self._of.values():
            for before, taker in pairwise(mine):
                if taker.parent is None:
                    continue
                source = self._last_of(taker.parent, _moment(before))
                if source is not None:
                    found.append(Takeover(taker, before, source))
        return sorted(found, key=lambda takeover: _moment(takeover.taker))

    def _last_of(self, trial: int, moment: Moment) -> SliceRecord | None:
        held, done = self._held(trial, moment)
        return self._of[held][done - 1] if done else None

    def _held(self, trial: int, moment: Moment) -> tuple[int, int]:
        """Whose weights ``trial`` held just after ``moment``: a trial, and its slices done then.

        Each step back is to a moment before, so this ends.
        """
        while True:
            done = bisect_left(self._ends.get(trial, []), (moment[0], moment[1] + 1))
            mine = self._of.get(trial, [])
            pending = mine[done].parent if 0 < done < len(mine) else None
            if pending is None or pending == trial:
                return trial, done
            trial, moment = pending, _moment(mine[done - 1])

    def ancestry(self, trial: int) -> Ancestry:
        """The slices that trained the weights that ``trial`` holds after its last slice."""
        parts: list[list[SliceRecord]] = []
        done = len(self._of.get(trial, []))
        gap = ""
        while done:
            mine = self._of[trial]
            begin = max((i for i in range(done) if mine[i].parent is not None), default=0)
            parts.append(mine[begin:done])
            first = mine[begin]
            if first.parent is None:
                break
            if begin:
                trial, done = self._held(first.parent, _moment(mine[begin - 1]))
            if not begin or not done:
                gap = f"the weights that slice {first.slice} began with are of no known slice"
                break
        return Ancestry(tuple(record for part in reversed(parts) for record in part), gap)


def _moment(record: SliceRecord) -> Moment:
    return record.end_s, record.slice


def schedule_of(
    ancestry: Ancestry,
    metric: str | None = None,
    score: float | None = None,
    seed: int | None = None,
) -> Schedule | None:
    """The hyperparameters that the weights were trained with, by their own age.

    Slices of one trial with equal values become one stretch; a slice without an iteration has
    none. None if the beginning is not known, or nothing was trained.
    """
    if ancestry.gap:
        return None
    stretches: list[Stretch] = []
    age = 0
    for record in ancestry.slices:
        if record.iterations < 1:
            continue
        values: dict[str, Value] = plain(record.hyperparameters)
        last = stretches[-1] if stretches else None
        if last is not None and (last.trial, last.hyperparameters) == (record.trial, values):
            stretches.pop()
            age = last.from_iteration
        end = (last.to_iteration if last else 0) + record.iterations
        stretches.append(Stretch(age, end, record.trial, values))
        age = end
    return Schedule(tuple(stretches), metric, score, seed) if stretches else None
