"""What finished slices say of one worker.

A slice of ``n`` iterations of trial ``t`` lasts, with the state ``(x, o, g)`` of
:mod:`hrfs.core.estimator_filter` and the trial's effect ``b``,

    d = o + moved * g + n * exp(x + b + e),        e ~ Normal(0, R (1 + N0 / n))

- where the overhead ``v`` was measured, ``log((d - v) / n) - b`` observes ``x``, and ``v``
  observes ``o + moved * g``;
- where it was not, ``log d`` observes all three, linearised at the present state (the extended
  Kalman filter): with ``c = n exp(x + b)`` the gradient is ``(c, 1, moved) / (c + o +
  moved * g)``, and slices of different length tell overhead from speed.

``R`` is noise that does not average out within a slice; ``N0`` iterations are as noisy as it.
One large innovation and the first slice of a change look alike. It therefore counts little,
and if the worker's next slice says the same, the speed is learned anew from the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from hrfs.core.estimator_filter import SURPRISE, WALK, Belief, Confirmation, weight
from hrfs.core.estimator_kinds import Common
from hrfs.core.estimator_overhead import OverheadNoise

NOISE_ITERATIONS = 2.0
"""``N0``: a slice of so many iterations has twice the noise variance of a long one."""
WARM_UP_VARIANCE = 0.35**2
"""Variance that warm-up adds to a first slice of few iterations."""
WARM_UP_ITERATIONS = 4.0
"""Iterations after which half of a first slice's warm-up variance is gone."""
UNLIKE = 9.0
"""Squared standard deviations from its kind beyond which a worker is judged by itself."""
SPLIT = 0.3
"""Standard deviation of an unknown overhead, as a part of the first slice."""
LEAST_OVERHEAD = 0.05
"""Other workers tell a worker's overhead no closer than to this part of a slice."""
TREND_GAIN = 0.2
"""Weight of a new innovation in their moving average."""
TREND_CUT = 2.0
"""Standard deviations at which an innovation is cut before it enters."""
TREND_LIMIT = 0.5
"""Square of the average above which there is a drift: two of its standard deviations."""


class Slice(NamedTuple):
    """A slice, as the filter sees it."""

    iterations: int
    duration_s: float
    overhead_s: float | None
    moved: float
    """1 if the trial comes from elsewhere, else 0."""
    effect: float
    """The trial's effect on the logarithm of seconds per iteration."""
    noise: float
    """Learned ``R``."""
    speed_noise: float
    """Variance of the logarithm of this slice's seconds per iteration, given the worker's."""


class Expected(NamedTuple):
    """What a slice should take, and what a slice of another duration says."""

    seconds: float
    part: float
    """``c`` as a part of ``seconds``: the derivative of the logarithm of seconds by ``x``."""
    noise: float
    """Variance of the logarithm of seconds, the state given."""
    variance: float
    """Variance of the logarithm of seconds, that of the state included."""


class Prior(NamedTuple):
    """What is known of a worker before its first slice; None for what is not."""

    x: Common | None
    o: Common | None
    g: Common | None


@dataclass(slots=True)
class WorkerFilter:
    """One worker's speed and overheads."""

    kind: str
    belief: Belief = field(default_factory=Belief)
    slices: int = 0
    migration_known: bool = False
    overhead: OverheadNoise = field(default_factory=OverheadNoise)
    trend: float = 0.0
    """Moving average of the innovations of ``x``, in standard deviations."""
    speed_surprise: Confirmation = field(default_factory=Confirmation)

    def expect_migration(
        self, common: Common | None, duration_s: float, overhead_s: float | None
    ) -> None:
        """Begin with the other workers' migration, unless the first such slice denies it."""
        if common is None or common.mean > SPLIT * duration_s:
            common = Common(0.0, (SPLIT * duration_s) ** 2)
        self.belief.g, variance = common
        self.belief.gg = max(variance, _least_variance(duration_s, overhead_s))
        self.migration_known = True

    def begin(self, done: Slice, prior: Prior) -> None:
        """Learn from the worker's first slice."""
        belief = self.belief
        self.slices = 1
        warm_up = WARM_UP_VARIANCE * WARM_UP_ITERATIONS / (WARM_UP_ITERATIONS + done.iterations)
        variance = done.speed_noise + warm_up
        if done.overhead_s is None:
            unknown = Common(0.0, (SPLIT * done.duration_s) ** 2)
            belief.o, spread = prior.o or unknown
            belief.oo = max(spread, _least_variance(done.duration_s, None))
            self._restart(done, done.duration_s, variance)
        else:
            self.overhead.begin(belief, done.overhead_s, done.moved, done.duration_s, prior.o)
            compute_s = done.duration_s - done.overhead_s
            belief.x = math.log(compute_s / done.iterations) - done.effect
            belief.xx = variance
        if prior.x is not None:
            distance = prior.x.mean - belief.x
            total = prior.x.variance + belief.xx
            if distance * distance <= UNLIKE * total:
                belief.correct_speed(distance, total)

    def observe(self, done: Slice) -> tuple[float, float]:
        """Learn from a further slice.

        Returns:
            How much higher than expected the logarithm of its seconds per iteration was, and
            the excess of the innovation: its square as a multiple of its variance.
        """
        self.slices += 1
        if done.overhead_s is None:
            return self._observe_total(done)
        belief, noise = self.belief, done.speed_noise
        self.overhead.observe(belief, done.overhead_s, done.moved, done.duration_s)
        speed = math.log((done.duration_s - done.overhead_s) / done.iterations) - done.effect
        innovation = speed - belief.x
        variance = belief.xx + noise
        excess = innovation * innovation / variance
        change = self._change(innovation, excess, noise)
        if change is None:
            self._follow(innovation, variance, done.noise)
            belief.correct_speed(innovation, (belief.xx + noise) / weight(excess))
        else:
            belief.x += change
            belief.xx, belief.xo, belief.xg = noise, 0.0, 0.0
        belief.xx += WALK * done.noise
        return innovation, excess

    def expected(self, slice_: Slice) -> Expected:
        """What ``slice_`` should take; its ``duration_s`` and ``overhead_s`` are not read."""
        belief = self.belief
        compute_s = slice_.iterations * math.exp(belief.x + slice_.effect)
        overhead_s = belief.o + slice_.moved * belief.g
        seconds = compute_s + overhead_s
        h_x, h_o = compute_s / seconds, 1.0 / seconds
        noise = h_x * h_x * slice_.speed_noise
        noise += h_o * h_o * self.overhead.variance(overhead_s, seconds)
        variance = belief.variance(h_x, h_o, slice_.moved * h_o) + noise
        return Expected(seconds, h_x, noise, variance)

    def _change(self, innovation: float, excess: float, noise: float) -> float | None:
        """By how much the logarithm has changed for good, if it has."""
        if excess <= SURPRISE:
            self.speed_surprise.last = None
            return None
        if self.slices == 2 and innovation < 0.0:
            return innovation  # Warm-up makes a first slice too long; nothing makes it too short.
        return self.speed_surprise.of(innovation, noise)

    def _follow(self, innovation: float, variance: float, noise: float) -> None:
        """Open the belief in the speed if innovations have gone one way for several slices.

        Their moving average, in standard deviations and each cut at ``TREND_CUT``, is near zero
        while the speed stands still.
        """
        z = innovation / math.sqrt(variance)
        if not -TREND_CUT < z < TREND_CUT:
            z = math.copysign(TREND_CUT, z)
        trend = self.trend + TREND_GAIN * (z - self.trend)
        if trend * trend > TREND_LIMIT:
            self.belief.xx += trend * trend * noise
            trend = 0.0
        self.trend = trend

    def _observe_total(self, done: Slice) -> tuple[float, float]:
        """Learn from a slice of which only the duration is known."""
        belief = self.belief
        seconds, part, noise, variance = self.expected(done)
        innovation = math.log(done.duration_s / seconds)
        excess = innovation * innovation / variance
        change = self._change(innovation, excess, noise)
        if change is None:
            step = innovation
            if excess <= SURPRISE:
                # Uncertainty of the state is additive in seconds, noise in their logarithm.
                step += (1.0 - noise / variance) * (math.expm1(innovation) - innovation)
            h_o = 1.0 / seconds
            belief.correct(part, h_o, h_o * done.moved, step, variance / weight(excess))
        else:
            belief.oo += (min(abs(change), 1.0) * belief.o) ** 2
            self._restart(done, seconds * math.exp(change), done.speed_noise)
        belief.xx += WALK * done.noise
        return innovation / max(part, SPLIT), excess

    def _restart(self, done: Slice, duration_s: float, variance: float) -> None:
        """Take the speed from one duration and what is believed of the overheads."""
        belief = self.belief
        compute_s = duration_s - belief.o - done.moved * belief.g
        compute_s = max(compute_s, SPLIT * duration_s)
        x = math.log(compute_s / done.iterations) - done.effect
        belief.restart_speed(compute_s, done.moved, variance, x)


def _least_variance(duration_s: float, overhead_s: float | None) -> float:
    """Least variance of what other workers' overheads say of this one's."""
    scale_s = LEAST_OVERHEAD * duration_s if overhead_s is None else 0.5 * overhead_s
    return scale_s * scale_s
