"""Which slices take so long that nothing will come of them. Knows times alone, and no Ray.

The seconds of a slice count from when its process is at work on it. The first slice of a process
may build things once: how long that takes is known when one has ended on the worker. Until then
it has the limit of what nobody can foresee, and so has the start of a process, which may wait for
its node. Where a worker's speed is unknown, the limit doubles with every time that it hung before:
one that is only slow is found to be so in the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hrfs.core.scheduler import Scheduler
from hrfs.core.state import RunningSlice

LOOK_S = 0.25
"""Seconds between two looks."""
LONGEST_STEP_S = 5.0
"""Most seconds that may pass between two looks as far as slices are concerned: while the driver
itself stood still, it heard of nothing."""
MOST_DOUBLINGS = 10
"""So often does a limit double at most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a slice counts as hung."""

    multiple: float | None
    """Of the time predicted for the slice; None: no slice ever does."""
    least_s: float
    """No slice before that."""
    unknown_s: float
    """Where no time can be predicted."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A slice under way, as it is now."""

    slice: int
    worker: str
    at_work: bool
    """Whether its process has started."""
    predicted_s: float | None
    """What the slice should take at most, by what was measured of its worker."""
    hung_before: int = 0
    """How often the worker hung of late."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A slice that is to be abandoned."""

    slice: int
    worker: str
    at_work: bool
    reason: str


@dataclass(slots=True)
class _Watched:
    at_work: bool
    fresh: bool
    """Whether it was seen waiting for its process."""
    elapsed_s: float = 0.0


class Watchdog:
    """Counts the seconds of slices. Times are the caller's."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._watched: dict[int, _Watched] = {}
        self._looked_s: float | None = None
        self._first_s: dict[str, float] = {}
        """Longest first slice of a process on each worker."""

    def is_due(self, now_s: float) -> bool:
        """Whether it is time for another look."""
        if self._limits.multiple is None:
            return False
        return self._looked_s is None or now_s - self._looked_s >= LOOK_S

    def look(self, now_s: float, sights: Iterable[Sight]) -> list[Overdue]:
        """The overdue ones among the slices under way, which are all given."""
        before_s = now_s if self._looked_s is None else self._looked_s
        step_s = min(now_s - before_s, LONGEST_STEP_S)
        self._looked_s = now_s
        known, self._watched = self._watched, {}
        overdue = []
        for sight in sights:
            watched = known.get(sight.slice)
            if watched is None:
                watched = _Watched(sight.at_work, fresh=not sight.at_work)
            elif watched.at_work != sight.at_work:
                watched.at_work, watched.elapsed_s = sight.at_work, 0.0
            else:
                watched.elapsed_s += step_s
            self._watched[sight.slice] = watched
            if watched.elapsed_s > (limit_s := self._limit_s(sight, watched)):
                reason = _reason(sight, limit_s)
                overdue.append(Overdue(sight.slice, sight.worker, sight.at_work, reason))
        return overdue

    def note_done(self, number: int, worker: str) -> None:
        """A slice has ended well."""
        watched = self._watched.get(number)
        if watched is not None and watched.fresh:
            took_s = LOOK_S + (watched.elapsed_s if watched.at_work else 0.0)
            self._first_s[worker] = max(took_s, self._first_s.get(worker, 0.0))

    def _limit_s(self, sight: Sight, watched: _Watched) -> float:
        limits, first_s = self._limits, self._first_s.get(sight.worker)
        unforeseen = sight.predicted_s is None or watched.fresh
        again = 2.0 ** min(sight.hung_before, MOST_DOUBLINGS) if unforeseen else 1.0
        if not sight.at_work or (unforeseen and first_s is None):
            return limits.unknown_s * again
        assert limits.multiple is not None
        expected_s = (sight.predicted_s or 0.0) + (first_s or 0.0 if unforeseen else 0.0)
        return max(limits.least_s, limits.multiple * expected_s) * again


def most_expected_s(core: Scheduler, running: RunningSlice) -> float | None:
    """Seconds that a slice just begun takes at most, 90 % sure; None if nothing was measured.

    What its kind makes expect of a worker is no reason to give it up.
    """
    speeds = core.snapshot(running.started_s).speeds
    known = speeds.estimate(running.worker)
    if known is None or known.slices == 0:
        return None
    moved = core.state.comes_from_elsewhere(core.state.trials[running.trial], running.worker)
    predicted = speeds.predict(running.worker, running.iterations, moved, running.trial)
    return predicted.high_s if predicted is not None else None


def _reason(sight: Sight, limit_s: float) -> str:
    if not sight.at_work:
        return f"its process has not started within {limit_s:.3g} s"
    if sight.predicted_s is None:
        return f"it hangs: not done within {limit_s:.3g} s"
    expected = f"where at most {sight.predicted_s:.3g} s were expected"
    return f"it hangs: not done within {limit_s:.3g} s, {expected}"
