"""How long a slice will take: speeds and overheads, estimated from finished slices.

Each worker has a robust recursive filter (:mod:`hrfs.core.estimator_worker`), each trial an effect
on the work of its iterations (:mod:`hrfs.core.estimator_trials`), and workers of a kind share a
prior (:mod:`hrfs.core.estimator_fleet`, :mod:`hrfs.core.estimator_kinds`). The noise of a slice is
learned over all workers. A slice costs the same however many went before, and the estimates
depend on the slices and their order alone (up to rounding).
"""

from __future__ import annotations

import math
from typing import NamedTuple, NoReturn

from hrfs.core.estimator_filter import weight
from hrfs.core.estimator_fleet import Fleet
from hrfs.core.estimator_trials import TrialEffects
from hrfs.core.estimator_worker import NOISE_ITERATIONS, Slice, WorkerFilter

Z_80 = 1.2815515655446004
"""Standard deviations that hold 80 % of a normal distribution."""
NOISE = 0.1
"""Standard deviation of the logarithm of a slice's duration, before anything is seen."""
NOISE_PRIOR = 10.0
"""Slices that this prior is worth."""
NOISE_MEMORY = 50.0
"""Slices that the learned noise remembers."""
CUT = 9.0
"""Excess of an innovation at which it is cut before it teaches the noise."""
NOISE_FLOOR = 1e-6
"""Least variance: 0.1 %."""
WIDEST = 9.0
"""Most variance of the logarithm of a predicted duration: beyond it nothing is known anyway."""
GAUGE_STEP = 0.002
"""The trials' mean effect is followed in steps of this size."""


class Estimate(NamedTuple):
    """What is known of a worker's speed, for a trial of average work."""

    seconds_per_iteration: float
    """Median: the exponential of the mean of its logarithm."""
    log_sigma: float
    """Standard deviation of the logarithm of ``seconds_per_iteration``: what is not known."""
    overhead_s: float
    """Seconds of a slice that are not training, where the trial stays."""
    migration_s: float
    """Seconds more where the trial comes from elsewhere."""
    slices: int
    """Slices observed; 0 if all is known from other workers of the kind."""

    def speed(self, interval_iterations: int) -> float:
        """Iterations per second over slices of a whole interval, overhead included."""
        train_s = interval_iterations * self.seconds_per_iteration
        return interval_iterations / (train_s + self.overhead_s)


class Prediction(NamedTuple):
    """Seconds of a slice to come: median and 80 % interval."""

    seconds: float
    low_s: float
    high_s: float


class SpeedEstimator:
    """Seconds per iteration, overhead and migration of each worker, work of each trial."""

    def __init__(self) -> None:
        self._workers: dict[str, WorkerFilter] = {}
        self._fleet = Fleet(self._workers)
        self._trials = TrialEffects()
        self._noise = NOISE * NOISE
        self._learned = NOISE_PRIOR
        self._gauge = 0.0
        self._cache: dict[str, Estimate] = {}

    @property
    def noise_sigma(self) -> float:
        """Learned standard deviation of the logarithm of a long slice's compute time."""
        return math.sqrt(self._noise)

    def join(self, worker: str, kind: str) -> None:
        """A worker is there. A known one keeps its kind and what was measured of it.

        Workers of one ``kind`` share what is measured of them; of kind ``""`` they do not.
        """
        if worker not in self._workers:
            self._workers[worker] = WorkerFilter(kind)

    def forget(self, worker: str) -> None:
        """Nothing of a worker that has joined is known any more but its kind."""
        kind = self._workers[worker].kind
        self._fleet.forget(worker, kind)
        self._workers[worker] = WorkerFilter(kind)
        self._cache.pop(worker, None)

    def observe(
        self,
        worker: str,
        trial: int,
        iterations: int,
        duration_s: float,
        overhead_s: float | None,
        moved: bool,
    ) -> None:
        """A slice of ``iterations`` of ``trial`` took ``duration_s`` on ``worker``.

        ``overhead_s`` are those of its seconds that were not training, None where nobody
        measured them. ``moved`` says whether the trial had run elsewhere before.

        Raises:
            KeyError: the worker never joined.
            ValueError: ``iterations`` below 1, or seconds that cannot be.
        """
        if not (iterations >= 1 and 0.0 <= (overhead_s or 0.0) < duration_s < math.inf):
            _refuse(worker, iterations, duration_s, overhead_s)
        state = self._workers[worker]
        noise = self._noise
        effect, effect_variance = self._trials.effect(trial, noise)
        speed_noise = noise * (1.0 + NOISE_ITERATIONS / iterations) + effect_variance
        done = Slice(iterations, duration_s, overhead_s, float(moved), effect, noise, speed_noise)
        if moved and not state.migration_known:
            common = self._fleet.migration(state.kind)
            state.expect_migration(common, duration_s, overhead_s)
        self._cache.pop(worker, None)
        if state.slices == 0:
            state.begin(done, self._fleet.prior(state.kind))
        else:
            innovation, excess = state.observe(done)
            left = effect + innovation
            self._trials.observe(trial, worker, state.slices, left, noise, weight(excess))
            self._learn_noise(excess)
            if abs(self._trials.mean - self._gauge) > GAUGE_STEP:
                self._gauge = self._trials.mean
                self._cache.clear()
        self._fleet.touch(worker, state.kind)

    def estimate(self, worker: str) -> Estimate | None:
        """What is known of the worker; None if nothing, of it nor of its kind."""
        known = self._cache.get(worker)
        if known is not None:
            return known
        state = self._workers.get(worker)
        if state is None:
            return None
        if state.slices == 0:
            return self._of_kind(state.kind)
        belief = state.belief
        migration_s = belief.g
        if not state.migration_known:
            common = self._fleet.migration(state.kind)
            migration_s = common.mean if common is not None else 0.0
        known = Estimate(
            math.exp(belief.x + self._gauge),
            math.sqrt(belief.xx),
            belief.o,
            migration_s,
            state.slices,
        )
        if state.migration_known:
            self._cache[worker] = known
        return known

    def predict(
        self, worker: str, iterations: int, moved: bool, trial: int | None = None
    ) -> Prediction | None:
        """Seconds that a slice would take; None where :meth:`estimate` gives None.

        Raises:
            ValueError: ``iterations`` below 1.
        """
        _check_iterations(worker, iterations)
        state = self._workers.get(worker)
        if state is not None and state.slices == 0:
            state = self._newcomer(state)
        if state is None:
            return None
        effect, variance = self._trials.effect(trial, self._noise)
        speed_noise = self._noise * (1.0 + NOISE_ITERATIONS / iterations) + variance
        planned = Slice(iterations, 0.0, None, float(moved), effect, self._noise, speed_noise)
        extra_s = 0.0
        if moved and not state.migration_known:
            common = self._fleet.migration(state.kind)
            extra_s = common.mean if common is not None else 0.0
        seconds, _, _, variance = state.expected(planned)
        spread = math.exp(Z_80 * math.sqrt(min(variance, WIDEST)))
        seconds += extra_s
        return Prediction(seconds, seconds / spread, seconds * spread)

    def trial_factor(self, trial: int) -> float:
        """How much dearer an iteration of this trial is than the average; 1 if unknown.

        The average is the geometric mean over the trials seen.
        """
        effect, _ = self._trials.effect(trial, self._noise)
        return math.exp(effect - self._trials.mean)

    def _learn_noise(self, excess: float) -> None:
        """Scale the noise by how large the innovation was for its variance, outliers cut."""
        if self._learned < NOISE_MEMORY:
            self._learned += 1.0
        noise = self._noise * (1.0 + ((excess if excess < CUT else CUT) - 1.0) / self._learned)
        self._noise = noise if noise > NOISE_FLOOR else NOISE_FLOOR

    def _of_kind(self, kind: str) -> Estimate | None:
        """What is expected of a worker without slices; None if its kind is unknown."""
        x, o, g = self._fleet.prior(kind)
        if x is None:
            return None
        g = g or self._fleet.migration(kind)
        return Estimate(
            math.exp(x.mean + self._gauge),
            math.sqrt(x.variance),
            o.mean if o is not None else 0.0,
            g.mean if g is not None else 0.0,
            slices=0,
        )

    def _newcomer(self, state: WorkerFilter) -> WorkerFilter | None:
        """A worker without slices, as its kind makes expect it; None if the kind is unknown."""
        prior = self._fleet.prior(state.kind)
        if prior.x is None:
            return None
        expected = WorkerFilter(state.kind)
        belief = expected.belief
        belief.x, belief.xx = prior.x
        if prior.o is not None:
            belief.o, belief.oo = prior.o
        if prior.g is not None:
            belief.g, belief.gg = prior.g
            expected.migration_known = True
        return expected


def _refuse(worker: str, iterations: int, duration_s: float, overhead_s: float | None) -> NoReturn:
    """Say what cannot be in a slice."""
    _check_iterations(worker, iterations)
    if not (duration_s > 0.0 and math.isfinite(duration_s)):
        raise ValueError(f"duration_s={duration_s!r} of {worker}: must be positive and finite")
    raise ValueError(
        f"overhead_s={overhead_s!r} of {worker}: must be at least 0 and less than its "
        f"slice's {duration_s!r} s"
    )


def _check_iterations(worker: str, iterations: int) -> None:
    if iterations < 1:
        raise ValueError(f"iterations={iterations!r} of {worker}: must be at least 1")
