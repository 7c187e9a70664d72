"""Whose fault it is where slices end in exceptions: the trial's or the worker's. No Ray.

A failure is the trial's own until the trial's next slice elsewhere succeeds. A worker whose last
slices all failed, and of which ``ENOUGH`` would have succeeded elsewhere, is to blame for them.
To find out, a worker is *suspected* after ``ENOUGH`` failures in a row: while it stays out, its
trials are tried elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

ENOUGH = 2
"""Failures in a row that make a worker suspected, and as many found to be its own a culprit."""


class Verdict(Enum):
    """What a failure makes of the worker."""

    NOTHING = "nothing"
    SUSPECTED = "suspected"
    TO_BLAME = "to blame"


@dataclass(frozen=True, slots=True)
class Culprit:
    """A worker that is to blame, and how many failures of which trials are no longer theirs."""

    worker: str
    failures: int
    pardoned: dict[int, int]


@dataclass(slots=True)
class _Streak:
    """Failures on a worker since it last finished a slice."""

    trials: Counter[int] = field(default_factory=Counter)
    elsewhere: int = 0
    """How many of them the trial's next slice on another worker has shown to be the worker's."""


class Blame:
    """Told of every slice that ends, one way or the other."""

    def __init__(self) -> None:
        self._streaks: dict[str, _Streak] = {}
        self._failed_on: dict[int, Counter[str]] = {}
        """Workers on which each trial has failed since it last finished a slice."""
        self._culprits: set[str] = set()
        """Workers found to be to blame, until they finish a slice."""

    def failed(self, trial: int, worker: str, present: Collection[str]) -> Verdict:
        """A slice ended in an exception. ``present`` are the workers that are there."""
        if worker in self._culprits:
            return Verdict.TO_BLAME
        streak = self._streaks.setdefault(worker, _Streak())
        streak.trials[trial] += 1
        self._failed_on.setdefault(trial, Counter())[worker] += 1
        if streak.trials.total() >= ENOUGH and self._others(trial, worker, present):
            return Verdict.SUSPECTED
        return Verdict.NOTHING

    def done(self, trial: int, worker: str) -> list[Culprit]:
        """A slice succeeded; returns the workers that are thereby found to be to blame."""
        self._culprits.discard(worker)
        self._streaks.pop(worker, None)
        found = []
        for other in self._failed_on.pop(trial, Counter()):
            streak = self._streaks.get(other)
            if streak is None:
                continue
            streak.elsewhere += streak.trials[trial]
            if streak.elsewhere >= ENOUGH:
                found.append(self._convict(other, streak))
        return found

    def is_trials_own(self, trial: int, present: Collection[str]) -> bool:
        """Whether nothing suggests that its failures were one worker's, who alone has shown them
        while there are others to try the trial on.
        """
        failed_on = self._failed_on.get(trial)
        if not failed_on or len(failed_on) > 1:
            return True
        return not any(name not in failed_on for name in present)

    def suspects_of(self, trial: int) -> list[str]:
        """Workers in a row of failures, this trial's among them."""
        return [name for name in self._failed_on.get(trial, ()) if name in self._streaks]

    def _others(self, trial: int, worker: str, present: Collection[str]) -> bool:
        """Whether some worker is left that may tell the trial's fault from the worker's."""
        failed_on = self._failed_on[trial]
        return any(
            name != worker
            and name not in failed_on
            and self._streaks.get(name, _Streak()).trials.total() < ENOUGH
            for name in present
        )

    def _convict(self, worker: str, streak: _Streak) -> Culprit:
        del self._streaks[worker]
        self._culprits.add(worker)
        for trial in streak.trials:
            self._failed_on.get(trial, Counter()).pop(worker, None)
        return Culprit(worker, streak.trials.total(), dict(streak.trials))
