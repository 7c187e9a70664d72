"""The rule that we recommend (``scheduler=hrfs``): the level algorithm, in slices.

On machines of unlike speed the least makespan is reached if at every moment the fastest work on
what has most left (Horvath, Lam and Sethi, JACM 24, 1977). A slice cannot be taken back, so the
question is for how long a worker may hold a trial (:mod:`hrfs.core.fusion_view`).
``docs/policy.md`` has the formulae and what they were measured to give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hrfs.core.estimator import Estimate
from hrfs.core.fusion_settings import FusionSettings
from hrfs.core.fusion_view import Outlook, View, probe_iterations, room
from hrfs.core.policy import Choice, Hold, Policy, Retire, Snapshot, Start
from hrfs.core.state import Worker
from hrfs.core.waiting import WaitingTrial


class FusionPolicy(Policy):
    """Heterogeneous resource fusion, near the optimum on any cluster (``scheduler=hrfs``).

    Free workers are served fastest first. Each takes the most lagging trial that it may hold
    for at least one iteration: no longer than until a faster worker misses that trial, than a
    share of the time left, and so that the rest of the trial can still be done in time. A
    worker keeps its trial while moving would bring nothing. No slice crosses a multiple of the
    interval. A worker that could only delay the end retires until that changes.

    A worker that is alone takes whole intervals: there is nobody to leave a trial to. What it
    does then depends on no measured second, so that a run on one worker can be repeated.
    """

    def __init__(self, settings: FusionSettings | None = None) -> None:
        self._settings = settings or FusionSettings()

    def order(self, snapshot: Snapshot, free: Sequence[str]) -> Sequence[str]:
        """The fastest first; workers of unknown speed as if they were somewhat above average."""
        roster = snapshot.roster
        if len(free) < 2 or not len(roster):
            return free
        speeds = {name: roster.speed(name) or roster.guessed_speed for name in free}
        return sorted(free, key=lambda name: -speeds[name])

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """What the worker is to do; see the class."""
        estimate = snapshot.speeds.estimate(worker.name)
        if estimate is None:
            return self._probe(snapshot, worker)
        if snapshot.present == 1:
            return self._alone(snapshot, estimate)
        view = View.of(snapshot, self._settings, worker, estimate)
        surplus = self._surplus(view)
        return Retire(surplus) if surplus else self._slice(view)

    def recall(self, snapshot: Snapshot, worker: Worker) -> str | None:
        """Why the retired worker is worth serving again, if it is."""
        estimate = snapshot.speeds.estimate(worker.name)
        if estimate is None or not len(snapshot.roster):
            return "nothing is known of it, and work is left"
        outlook = Outlook.of(snapshot, self._settings)
        one_s = _one_s(estimate)
        speed = estimate.speed(snapshot.interval_iterations)
        if 2 * one_s > outlook.horizon_s or snapshot.roster.count_faster(speed) >= outlook.trials:
            return None
        return f"{outlook.trials} trials and about {outlook.horizon_s:.3g} s are left again"

    # Measuring

    def _probe(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """A first slice, as short as gives a usable estimate.

        Trials for the workers that matter are kept back: as many as equally fast workers
        would have the same sums of speeds and of squared speeds. Where trials are scarce, one
        worker of a kind speaks for the others; else they need not wait for it.
        """
        waiting, roster = snapshot.waiting, snapshot.roster
        scarce = len(snapshot.workers) > len(snapshot.backlog)
        if scarce and worker.kind and roster.is_probed(worker.kind):
            return Hold(f"another worker of its kind, {worker.kind}, is being measured")
        place = waiting.first
        if len(roster):
            trials = len(snapshot.backlog)
            share = math.ceil(self._settings.probing_share * trials)
            if roster.probes >= max(share, trials - roster.equivalent_workers):
                return Hold("its speed is unknown, and enough trials are being held by others")
            place = waiting.last
        iterations = min(room(snapshot, place), probe_iterations(snapshot, self._settings))
        if iterations < 1:
            return Hold("its speed is unknown, and no trial may run further ahead for now")
        return Start(place.trial, iterations, "its speed is unknown, so a short slice measures it")

    def _surplus(self, view: View) -> str | None:
        """Why faster workers suffice for all trials, if they do.

        A worker measured once is measured again first, if that costs next to nothing.
        """
        roster, outlook = view.snapshot.roster, view.outlook
        if roster.running == 0 or roster.count_faster(view.speed) < outlook.trials:
            return None
        again_s = self._settings.second_probe_share * outlook.horizon_s
        if view.estimate.slices < 2 and _one_s(view.estimate) < again_s:
            return None
        return f"faster workers can take all {outlook.trials} trials that are left"

    # Training

    def _alone(self, snapshot: Snapshot, estimate: Estimate) -> Choice:
        """The least advanced trial to the end of its interval: the population stays in step,
        in as few slices as that takes.

        The first slice is short all the same, since more workers may be about to join.
        """
        iterations = room(snapshot, snapshot.waiting.first)
        if estimate.slices == 0:
            iterations = min(iterations, probe_iterations(snapshot, self._settings))
        return self._start(snapshot, 0, iterations, "alone, so it takes the trial that lags most")

    def _slice(self, view: View) -> Choice:
        waiting = view.snapshot.waiting
        own = waiting.first_at(view.worker.name)
        if own is not None and self._stays(view, own):
            rank = waiting.rank_of(own)
            iterations = view.iterations(rank)
            if iterations >= 1:
                return self._start_or_swap(view, rank, iterations, "stays with its trial")
        iterations = view.iterations(0)
        if iterations < 1 and self._must(view):
            iterations = min(1, room(view.snapshot, waiting.first))
        if iterations >= 1:
            return self._start_or_swap(view, 0, iterations, "takes the trial that lags most")
        last = len(waiting) - 1
        if view.iterations(last) < 1:
            return self._nothing(view)
        rank = self._first_eligible(view, last)
        why = f"leaves the {rank} trials that lag most to faster workers and takes the next"
        return self._start(view.snapshot, rank, view.iterations(rank), why)

    def _stays(self, view: View, own: WaitingTrial) -> bool:
        """Whether ``own``, trained here last, is not too far ahead of the most lagging trial."""
        settings, snapshot = self._settings, view.snapshot
        left = snapshot.stop_iterations - view.outlook.level_iterations
        ahead = own.iteration - snapshot.waiting.first.iteration
        interval = settings.stay_intervals * snapshot.interval_iterations
        return ahead < min(interval, 5 * settings.lag_share * left)

    @staticmethod
    def _must(view: View) -> bool:
        """Whether the worker takes the first trial whatever its limits: nobody else would."""
        return not view.faster.workers or view.snapshot.roster.running == 0

    @staticmethod
    def _first_eligible(view: View, last: int) -> int:
        """Lowest rank with a slice of an iteration; rank 0 has none, rank ``last`` has.

        The limits of a slice only grow with the rank, so halving finds it.
        """
        none, some = 0, last
        while some - none > 1:
            middle = (none + some) // 2
            if view.iterations(middle) >= 1:
                some = middle
            else:
                none = middle
        return some

    def _start_or_swap(self, view: View, rank: int, iterations: int, why: str) -> Choice:
        """Start the slice; but end it, or wait, for a lagging trial that comes free soon.

        With few trials waiting, a fast worker would else run ahead with its own for ever.
        """
        swap_s = view.swap_s(view.snapshot.waiting[rank])
        if swap_s is None:
            return self._start(view.snapshot, rank, iterations, why)
        one_s = view.estimate.seconds_per_iteration
        if swap_s <= self._settings.swap_patience_iterations * one_s:
            return Hold("a trial that lags far behind comes free in a moment")
        until = max(1, int(swap_s / one_s))
        if until >= iterations:
            return self._start(view.snapshot, rank, iterations, why)
        why = f"{why}, until one that lags far behind comes free"
        return self._start(view.snapshot, rank, until, why)

    @staticmethod
    def _start(snapshot: Snapshot, rank: int, iterations: int, why: str) -> Start:
        place = snapshot.waiting[rank]
        behind = snapshot.leader - place.iteration
        where = f"{behind} iterations behind the leader" if behind else "the leader"
        ends = (place.iteration + iterations) % snapshot.interval_iterations == 0
        until = "to the end of the interval" if ends else f"for {iterations} iterations"
        return Start(place.trial, iterations, f"{why} ({where}) {until}")

    @staticmethod
    def _nothing(view: View) -> Retire | Hold:
        """What to tell a worker that may take none of the waiting trials."""
        horizon_s, one_s = view.outlook.horizon_s, _one_s(view.estimate)
        left = f"only about {horizon_s:.3g} s are left"
        if one_s > horizon_s:
            return Retire(f"one iteration here takes {one_s:.3g} s, and {left}")
        last = view.snapshot.waiting.last
        if room(view.snapshot, last) < 1:
            return Hold("no trial may run further ahead of the least advanced one")
        if view.end_s(last, 1.0) < one_s:
            return Hold(f"{left}, and a slice here would put off the end")
        return Hold(f"{view.faster.workers} faster workers need the trials that wait")


def _one_s(estimate: Estimate) -> float:
    """Seconds of a slice of one iteration."""
    return estimate.overhead_s + estimate.seconds_per_iteration
