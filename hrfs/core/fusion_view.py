"""For how long a worker may hold a trial before that costs another worker something."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hrfs.core.estimator import Estimate
from hrfs.core.policy import Snapshot
from hrfs.core.roster import Faster
from hrfs.core.state import Worker
from hrfs.core.waiting import WaitingTrial


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """One set of defaults for every cluster; see ``docs/policy.md`` for how they were chosen."""

    lag_intervals: float = 1.0
    """How far a trial may fall behind the others while a slower worker holds it, in K."""
    lag_share: float = 0.15
    """The same as a share of the iterations that are left on average: it shrinks to the end."""
    stay_intervals: float = 0.8
    """A worker keeps its trial while that is no further ahead of the most lagging one, in K."""
    horizon_share: float = 0.1
    """Longest slice, as a share of the time that is left."""
    faster_by: float = 1.25
    """A worker counts as faster than another if it is by this factor."""
    late_share: float = 0.3
    """A slice may take so much longer than until a faster worker should come for its trial."""
    late_iterations: float = 0.4
    """And so many iterations more."""
    patience_lags: float = 3.0
    """But not if its trial already lags so many times as far as it may."""
    swap_lags: float = 2.5
    """A trial so many times as far ahead as another may lag is given up for one that lags."""
    swap_patience_iterations: float = 0.5
    """Waiting for that one instead of training on, at most."""
    overheads: float = 10.0
    """A slice need not be cut to less than so many times the overhead that it costs."""
    slack: float = 1.02
    """The end may be put off by this factor for a slice's sake."""
    probe_share: float = 0.02
    """First slice on a worker of unknown speed, as a share of K."""
    unmeasured_iterations: int = 3
    """Longest slice on any worker while others wait to be measured."""
    probing_share: float = 0.5
    """Share of the trials that may be held to measure workers, whoever else needs them."""
    second_probe_share: float = 0.01
    """A worker is measured twice before it is sent away, if that takes so little of the time
    that is left: the first iterations on a machine are often slower than all later ones."""


@dataclass(slots=True)
class Outlook:
    """How the run stands, whichever worker is asked about."""

    trials: int
    """Unfinished trials."""
    level_iterations: float
    """Iterations that they have done, on average."""
    lag_iterations: float
    """How far a trial may fall behind."""
    horizon_s: float
    """Projected seconds until all is done: the work left on the workers in use, or the least
    advanced trial's rest on the fastest."""
    top_speed: float
    """Iterations per second of the fastest worker."""

    @classmethod
    def of(cls, snapshot: Snapshot, settings: FusionSettings) -> Outlook:
        """Work out the outlook. At least one trial is unfinished and one speed is known."""
        backlog, roster = snapshot.backlog, snapshot.roster
        trials = len(backlog)
        level = (backlog.iterations + roster.progress_iterations) / trials
        left = snapshot.stop_iterations - level
        top_speed = roster.top_speed
        all_s = (backlog.work - roster.progress_iterations) / roster.fastest(trials)
        one_s = (snapshot.stop_iterations - backlog.last_iteration) / top_speed
        lag = settings.lag_intervals * snapshot.interval_iterations
        return cls(
            trials=trials,
            level_iterations=level,
            lag_iterations=min(lag, settings.lag_share * left),
            horizon_s=max(all_s, one_s),
            top_speed=top_speed,
        )


@dataclass(slots=True)
class View:
    """What a decision about one worker looks at."""

    snapshot: Snapshot
    settings: FusionSettings
    outlook: Outlook
    worker: Worker
    estimate: Estimate
    speed: float
    """Iterations per second over whole intervals, overhead included."""
    faster: Faster
    """The workers that are faster by more than a little."""
    next_s: tuple[float, ...]
    """Seconds until faster workers should be free, the earliest first."""

    @classmethod
    def of(
        cls, snapshot: Snapshot, settings: FusionSettings, worker: Worker, estimate: Estimate
    ) -> View:
        """Gather what concerns ``worker``, whose speed is known to the roster."""
        roster = snapshot.roster
        speed = roster.speed(worker.name)
        assert speed is not None
        faster = roster.faster_than(speed * settings.faster_by)
        ends: list[float] = []
        if faster.workers:
            ends = roster.next_ends_s(speed * settings.faster_by, len(snapshot.waiting))
        return cls(
            snapshot=snapshot,
            settings=settings,
            outlook=Outlook.of(snapshot, settings),
            worker=worker,
            estimate=estimate,
            speed=speed,
            faster=faster,
            next_s=tuple(max(0.0, end_s - snapshot.time_s) for end_s in ends),
        )

    def iterations(self, rank: int) -> int:
        """Longest slice of the waiting trial with ``rank`` others before it; 0 if none is due.

        It ends at the next multiple of the interval at the latest.
        """
        place = self.snapshot.waiting[rank]
        factor = self.snapshot.speeds.trial_factor(place.trial)
        one_s = self.estimate.seconds_per_iteration * factor
        seconds = min(self.hold_s(place, rank), self.end_s(place, factor), self.share_s(one_s))
        seconds = max(seconds, self.rest_s(place, rank, factor))
        most = room(self.snapshot, place)
        if self.estimate.slices == 0:  # its kind tells who it is, but not reliably how fast
            most = min(most, probe_iterations(self.snapshot, self.settings))
        # The tiny part mends a product that rounding put just below a whole number.
        return most if seconds == math.inf else min(most, int(seconds / one_s + 1e-9))

    def hold_s(self, place: WaitingTrial, rank: int) -> float:
        """Seconds until a faster worker misses the trial.

        The faster workers, of speed F together, bring the trials that they can get at forward
        at ``v = F / n`` each. Whichever is longest: (a) until the trial, advancing at this
        worker's s, lags them by the allowed B: ``(B - lag) / (v - s)``; (b) while they take
        the ``rank`` trials that lag more, an interval each: ``rank K / F``; (c) until so many
        of their slices have ended.
        """
        faster, outlook, settings = self.faster, self.outlook, self.settings
        others = outlook.trials - faster.out_of_reach - 1
        velocity = self._velocity(others)
        if velocity <= self.speed:
            return math.inf
        roster, backlog = self.snapshot.roster, self.snapshot.backlog
        done = backlog.iterations + roster.progress_iterations
        level = (done - faster.level_out_of_reach_iterations - place.iteration) / max(others, 1)
        lag = level - place.iteration
        behind_s = (outlook.lag_iterations - lag) / (velocity - self.speed)
        busy_s = rank * self.snapshot.interval_iterations / faster.speed
        if not self.next_s:
            return max(behind_s, busy_s)
        back_s = self.next_s[min(rank, len(self.next_s) - 1)]
        if lag < settings.patience_lags * outlook.lag_iterations:
            one_s = self.estimate.seconds_per_iteration
            back_s = back_s * (1 + settings.late_share) + settings.late_iterations * one_s
        return max(behind_s, busy_s, back_s)

    def _velocity(self, others: int) -> float:
        """Iterations per second at which the faster workers advance each trial in their reach."""
        faster = self.faster
        if not faster.workers:
            return 0.0
        if others < faster.workers:
            return self.outlook.top_speed
        return min(self.outlook.top_speed, faster.speed / others)

    def end_s(self, place: WaitingTrial, factor: float) -> float:
        """Seconds for which the worker may hold the trial so that the fastest worker, left with
        the rest of it, is done by the horizon H: ``(H v - left) / (v - s)``.
        """
        outlook = self.outlook
        if outlook.top_speed <= self.speed * (1 + 1e-4):
            return math.inf
        left = (self.snapshot.stop_iterations - place.iteration) * factor
        horizon_s = outlook.horizon_s * self.settings.slack
        return (horizon_s * outlook.top_speed - left) / (outlook.top_speed - self.speed)

    def rest_s(self, place: WaitingTrial, rank: int, factor: float) -> float:
        """Seconds of all the rest of the trial here, if no faster worker would be done sooner.

        0 otherwise. This settles the last slices of a run.
        """
        if rank >= len(self.next_s):
            return 0.0
        left = (self.snapshot.stop_iterations - place.iteration) * factor
        here_s = left * self.estimate.seconds_per_iteration
        there_s = self.next_s[rank] + left / self.outlook.top_speed
        return here_s if here_s <= there_s * (1 + 1e-9) else 0.0

    def swap_s(self, place: WaitingTrial) -> float | None:
        """Seconds until a slower worker should give back a trial that lags far behind
        ``place``; None if that trial is not far ahead itself, or no such trial is seen.
        """
        far = self.settings.swap_lags * self.outlook.lag_iterations
        roster = self.snapshot.roster
        if not roster.running or place.iteration - self.outlook.level_iterations < far:
            return None
        end_s = roster.next_end_of_slower_s(
            self.speed / self.settings.faster_by, place.iteration - far
        )
        return None if end_s is None else max(0.0, end_s - self.snapshot.time_s)

    def share_s(self, one_s: float) -> float:
        """Longest slice in seconds: a share of the time left, so that the ends fall together.

        Very short while workers wait to be measured: one of them may be far faster.
        """
        settings = self.settings
        least_s = settings.overheads * (self.estimate.overhead_s + self.estimate.migration_s)
        roster = self.snapshot.roster
        if roster.unmeasured and self.speed <= roster.guessed_speed:
            return max(least_s, settings.unmeasured_iterations * one_s)
        if self.outlook.trials == 1:
            return math.inf
        return max(settings.horizon_share * self.outlook.horizon_s, least_s, one_s)


def probe_iterations(snapshot: Snapshot, settings: FusionSettings) -> int:
    """Iterations of the first slice on a worker."""
    return max(1, int(settings.probe_share * snapshot.interval_iterations))


def room(snapshot: Snapshot, place: WaitingTrial) -> int:
    """Iterations to the next multiple of the interval, and within the staleness allowed."""
    interval = snapshot.interval_iterations
    left = min(interval - place.iteration % interval, snapshot.stop_iterations - place.iteration)
    if snapshot.max_staleness_iterations is None:
        return left
    limit = snapshot.backlog.last_iteration + snapshot.max_staleness_iterations
    return min(left, limit - place.iteration)
