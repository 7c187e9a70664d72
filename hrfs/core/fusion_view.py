"""For how long a worker may hold a trial before that costs another worker something."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hrfs.core.estimator import Estimate
from hrfs.core.fusion_settings import FusionSettings
from hrfs.core.policy import Snapshot
from hrfs.core.roster import Faster
from hrfs.core.state import Worker
from hrfs.core.waiting import WaitingTrial

_ENDS = 8
"""Ends of faster workers' slices that are looked at; later ones count as the last of them."""


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
    next_s: list[float]
    """Seconds until faster workers should be free, the earliest first."""
    others: int
    """Trials that the faster workers can get at, without one that this worker takes."""
    velocity: float
    """Iterations per second at which they advance each of those."""
    measuring: bool
    """Whether a worker that may be faster than this one waits to be measured."""

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
            count = min(len(snapshot.waiting), _ENDS)
            ends = roster.next_ends_s(speed * settings.faster_by, count)
        outlook = Outlook.of(snapshot, settings)
        others = outlook.trials - faster.out_of_reach - 1
        return cls(
            snapshot=snapshot,
            settings=settings,
            outlook=outlook,
            worker=worker,
            estimate=estimate,
            speed=speed,
            faster=faster,
            next_s=[max(0.0, end_s - snapshot.time_s) for end_s in ends],
            others=others,
            velocity=_velocity(faster, others, outlook.top_speed),
            measuring=roster.unmeasured > 0 and speed <= roster.guessed_speed,
        )

    def iterations(self, rank: int) -> int:
        """Longest slice of the waiting trial with ``rank`` others before it; 0 if none is due.

        It ends at the next multiple of the interval at the latest, and also if what would be
        left until there is worth less than the overhead of one more slice.
        """
        place = self.snapshot.waiting[rank]
        factor = self.snapshot.speeds.trial_factor(place.trial)
        one_s = self.estimate.seconds_per_iteration * factor
        extra_s = self.extra_s(place)
        bounds = self.hold_s(place, rank), self.end_s(place, factor), self.share_s(one_s, extra_s)
        seconds = max(min(bounds), self.rest_s(place, rank, factor))
        most = room(self.snapshot, place)
        if self.estimate.slices == 0:  # its kind tells who it is, but not reliably how fast
            most = min(most, probe_iterations(self.snapshot, self.settings))
        if seconds == math.inf:
            return most
        # The tiny part mends a product that rounding put just below a whole number.
        fits = max(0, int((seconds - extra_s) / one_s + 1e-9))
        return most if fits and (most - fits) * one_s <= extra_s else min(most, fits)

    def extra_s(self, place: WaitingTrial) -> float:
        """Seconds of a slice of the trial here that are not training."""
        elsewhere = place.home is not None and place.home != self.worker.name
        return self.estimate.overhead_s + elsewhere * self.estimate.migration_s

    def hold_s(self, place: WaitingTrial, rank: int) -> float:
        """Seconds until a faster worker misses the trial.

        The faster workers, of speed F together, bring the trials that they can get at forward
        at ``v = F / n`` each. Whichever is longest: (a) until the trial, advancing at this
        worker's s, lags them by the allowed B: ``(B - lag) / (v - s)``; (b) while they take
        the ``rank`` trials that lag more, an interval each: ``rank K / F``; (c) until so many
        of their slices have ended.
        """
        faster, outlook, settings = self.faster, self.outlook, self.settings
        if self.velocity <= self.speed:
            return math.inf
        roster, backlog = self.snapshot.roster, self.snapshot.backlog
        done = backlog.iterations + roster.progress_iterations
        level = (done - faster.level_out_of_reach_iterations - place.iteration) / max(
            self.others, 1
        )
        lag = level - place.iteration
        behind_s = (outlook.lag_iterations - lag) / (self.velocity - self.speed)
        busy_s = rank * self.snapshot.interval_iterations / faster.speed
        if not self.next_s:
            return max(behind_s, busy_s)
        back_s = self.next_s[min(rank, len(self.next_s) - 1)]
        if lag < settings.patience_lags * outlook.lag_iterations:
            one_s = self.estimate.seconds_per_iteration
            back_s = back_s * (1 + settings.late_share) + settings.late_iterations * one_s
        return max(behind_s, busy_s, back_s)

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
        here_s = left * self.estimate.seconds_per_iteration + self.extra_s(place)
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

    def share_s(self, one_s: float, extra_s: float) -> float:
        """Longest slice in seconds: a share of the time left, so that the ends fall together.

        Very short while workers wait to be measured: one of them may be far faster.
        """
        settings = self.settings
        least_s = settings.overheads * (self.estimate.overhead_s + self.estimate.migration_s)
        if self.measuring:
            return max(least_s, settings.unmeasured_iterations * one_s + extra_s)
        if self.outlook.trials == 1:
            return math.inf
        return max(settings.horizon_share * self.outlook.horizon_s, least_s, one_s + extra_s)


def _velocity(faster: Faster, trials: int, top_speed: float) -> float:
    """Iterations per second at which ``faster`` workers advance each of ``trials`` trials."""
    if not faster.workers:
        return 0.0
    if trials < faster.workers:
        return top_speed
    return min(top_speed, faster.speed / trials)


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
