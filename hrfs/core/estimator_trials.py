"""How much dearer an iteration of one trial is than of another.

Trial ``t`` adds its effect ``b_t`` to the logarithm of every worker's seconds per iteration.
Workers and trials are estimated in turn, each from what the other leaves unexplained: a slice
gives ``u = log(seconds per iteration) - x_w``, trial ``t``'s effect is the mean of its ``u``,
shrunk towards the mean of all trials,

    b_t = m + (mean u_t - m) * T / (T + R / k_t),      variance 1 / (1 / T + k_t / R)

with ``k_t`` slices that count, noise variance ``R`` and variance ``T`` between trials. ``T`` is
learned by moments: two ``u`` of one trial on different workers, or far apart on one, share
nothing but ``b_t``, so the mean of their product is ``T``. Of it one standard error is taken off,
so that trials that are alike stay alike. An effect that differs between kinds of workers is not
modelled: it counts as noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MEMORY = 20.0
"""Slices of a trial that count at most: older ones fade, since an exploit may change its work."""
PAIRS_PRIOR = 3.0
"""Pairs of slices that say "no difference between trials" before anything is seen."""
PAIRS_MEMORY = 2000.0
"""Pairs that count at most."""
LEAST_TURN = 4
"""Number of a worker's first slice whose ``u`` enters a pair: before, the worker is unknown."""
APART = 5
"""Slices of one worker between two of a trial that share no error of the worker's speed."""
BOUND = 3.0
"""``|u|`` is cut here (a factor of 20)."""


@dataclass(slots=True)
class _Trial:
    mean: float = 0.0
    slices: float = 0.0
    """How many slices count in the mean."""
    effect: float = 0.0
    last: float = 0.0
    last_worker: str | None = None
    last_turn: int = 0


class TrialEffects:
    """Effects of all trials that were seen, in logarithms."""

    def __init__(self) -> None:
        self._trials: dict[int, _Trial] = {}
        self._pairs = 0.0
        self._products = 0.0
        self._squares = 0.0
        self._spread = 0.0
        self._sum = 0.0
        self.mean = 0.0
        """Mean effect of the trials seen."""

    @property
    def spread(self) -> float:
        """Variance ``T`` between trials, as far as there is evidence of any."""
        return self._spread

    def effect(self, trial: int | None, noise: float) -> tuple[float, float]:
        """Effect of the trial and its variance; those of any trial if it is unknown."""
        known = self._trials.get(trial) if trial is not None else None
        if known is None:
            return self.mean, self._spread
        if self._spread == 0.0:
            return known.effect, 0.0
        return known.effect, 1.0 / (1.0 / self._spread + known.slices / noise)

    def observe(
        self, trial: int, worker: str, turn: int, unexplained: float, noise: float, share: float
    ) -> None:
        """The worker's slice number ``turn``, of ``trial``, left ``unexplained`` by it alone.

        ``share`` in (0, 1] says how much it counts.
        """
        if not -BOUND < unexplained < BOUND:
            unexplained = math.copysign(BOUND, unexplained)
        known = self._trials.get(trial)
        if known is None:
            known = self._trials[trial] = _Trial(effect=self.mean)
            self._sum += self.mean
        if turn >= LEAST_TURN:
            if known.last_worker is not None and (
                known.last_worker != worker or turn - known.last_turn > APART
            ):
                self._learn(known.last, unexplained)
            known.last, known.last_worker, known.last_turn = unexplained, worker, turn
        slices = known.slices + share
        known.slices = slices = slices if slices < MEMORY else MEMORY
        known.mean += (unexplained - known.mean) * share / slices
        effect = self.mean
        if self._spread > 0.0:
            effect += (known.mean - effect) * self._spread / (self._spread + noise / slices)
        if effect != known.effect:
            self._sum += effect - known.effect
            known.effect = effect
            self.mean = self._sum / len(self._trials)

    def _learn(self, last: float, now: float) -> None:
        """Update ``T`` by one pair of a trial's ``u`` on two workers."""
        product = (last - self.mean) * (now - self.mean)
        if self._pairs < PAIRS_MEMORY:
            self._pairs += 1.0
        rate = 1.0 / (self._pairs + PAIRS_PRIOR)
        self._products += (product - self._products) * rate
        self._squares += (product * product - self._squares) * rate
        spread = self._products - math.sqrt(self._squares / self._pairs)
        self._spread = spread if spread > 0.0 else 0.0
