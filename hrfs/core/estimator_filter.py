"""The Gaussian belief about one worker, and how one number corrects it.

The state is ``(x, o, g)``: the logarithm of the worker's seconds per iteration, its overhead
per slice in seconds, and the seconds more where the trial comes from elsewhere. It changes by
scalar observations with known gradient (Kalman 1960), so that a slice costs the same however
many went before. An innovation ``r`` has the variance ``S = h P h' + R`` (gradient ``h``,
covariance ``P``, noise ``R``), its excess is ``r^2 / S``, and it enters with a weight ``q``:

    state += q P h' r / S,        P -= q P h' h P / S

``q = min(1, (NU + 1) / (NU + r^2 / S))`` is what a Student-t distribution of ``NU`` degrees of
freedom makes of it, so that a huge outlier hardly counts: robust filtering as by Masreliez and
Martin (1977), with the weights of Agamennoni, Nieto and Nebot (2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NU = 4.0
"""Degrees of freedom of the Student-t distribution that weighs innovations."""
SURPRISE = 2.5**2
"""Excess from which an innovation may be the first of a change."""
AGREEMENT = 3.0**2
"""Excess of their difference up to which two surprises agree."""
WALK = 0.08**2
"""The variance by which speed and overhead drift per slice, as a part of the noise's."""
LARGEST_VARIANCE = 1.0
"""Most variance of ``x`` that a linear correction leaves."""
LEAST_RATIO = 0.1
"""One correction divides the seconds per iteration by ten at most."""


def weight(excess: float) -> float:
    """Weight in (0, 1] of an innovation whose square is ``excess`` times its variance."""
    return (NU + 1.0) / (NU + excess) if excess > 1.0 else 1.0


@dataclass(slots=True)
class Confirmation:
    """Tells one outlier from the first slice of a change: the next one says the same or not."""

    last: float | None = None

    def of(self, surprise: float, noise: float) -> float | None:
        """Mean of this surprise and the last if they agree; None if there is no change (yet).

        ``noise`` is the variance that is new in every slice: two innovations after one change
        differ by ``sqrt(2 * noise)``.
        """
        last, self.last = self.last, surprise
        if last is None or last * surprise <= 0.0:
            return None
        difference = last - surprise
        if difference * difference > AGREEMENT * 2.0 * noise:
            return None
        self.last = None
        return 0.5 * (last + surprise)


@dataclass(slots=True)
class Belief:
    """Mean and covariance of ``(x, o, g)``."""

    x: float = 0.0
    o: float = 0.0
    g: float = 0.0
    xx: float = 0.0
    oo: float = 0.0
    gg: float = 0.0
    xo: float = 0.0
    xg: float = 0.0
    og: float = 0.0

    def variance(self, h_x: float, h_o: float, h_g: float) -> float:
        """Variance of ``h_x x + h_o o + h_g g``."""
        variance = (
            h_x * h_x * self.xx
            + h_o * h_o * self.oo
            + h_g * h_g * self.gg
            + 2.0 * (h_x * (h_o * self.xo + h_g * self.xg) + h_o * h_g * self.og)
        )
        return max(variance, 0.0)  # rounding may leave a little less than zero

    def correct(self, h_x: float, h_o: float, h_g: float, innovation: float, total: float) -> None:
        """A number of gradient ``(h_x, h_o, h_g)`` came out ``innovation`` higher.

        ``total`` is ``S / q``. The correction is linear in the seconds per iteration
        ``s = exp(x)``, since durations are: relative to ``s``, so that ``xx``, ``xo`` and
        ``xg`` are rescaled when ``s`` changes.
        """
        a = self.xx * h_x + self.xo * h_o + self.xg * h_g
        b = self.xo * h_x + self.oo * h_o + self.og * h_g
        c = self.xg * h_x + self.og * h_o + self.gg * h_g
        step = innovation / total
        self.o += b * step
        self.g += c * step
        self.xx = max(self.xx - a * a / total, 0.0)
        self.oo = max(self.oo - b * b / total, 0.0)
        self.gg = max(self.gg - c * c / total, 0.0)
        self.xo -= a * b / total
        self.xg -= a * c / total
        self.og -= b * c / total
        self._scale(1.0 + a * step)
        if self.o < 0.0 or self.g < 0.0:
            self._raise()

    def correct_speed(self, innovation: float, total: float) -> None:
        """Seconds per iteration alone were observed: the gradient (1, 0, 0), in logarithms."""
        if self.xo != 0.0 or self.xg != 0.0:
            self.correct(1.0, 0.0, 0.0, innovation, total)
            return
        gain = self.xx / total
        self.x += gain * innovation
        self.xx *= 1.0 - gain

    def correct_overhead(self, h_g: float, innovation: float, total: float) -> None:
        """Overheads alone were observed: the gradient (0, 1, ``h_g``)."""
        if self.xo != 0.0 or self.xg != 0.0:
            self.correct(0.0, 1.0, h_g, innovation, total)
            return
        oo, gg, og = self.oo, self.gg, self.og
        b, c = oo + og * h_g, og + gg * h_g
        step = innovation / total
        self.o = o = self.o + b * step
        self.g = g = self.g + c * step
        self.oo = max(oo - b * b / total, 0.0)
        self.gg = max(gg - c * c / total, 0.0)
        self.og = og - b * c / total
        if o < 0.0 or g < 0.0:
            self._raise()

    def restart_speed(self, compute_s: float, h_g: float, variance: float, x: float) -> None:
        """Set ``x`` from ``compute_s`` seconds that were left when overheads were taken off.

        What is not known of the overheads is then not known of ``x``, with the opposite sign;
        ``variance`` is the rest of its variance.
        """
        lost_o = self.oo + h_g * self.og
        lost_g = self.og + h_g * self.gg
        self.x = x
        self.xx = variance + (lost_o + h_g * lost_g) / (compute_s * compute_s)
        self.xo = -lost_o / compute_s
        self.xg = -lost_g / compute_s
        self._bound()

    def _scale(self, ratio: float) -> None:
        """Multiply the seconds per iteration by ``ratio``, their absolute variance unchanged."""
        ratio = max(ratio, LEAST_RATIO)
        self.x += math.log(ratio)
        self.xx /= ratio * ratio
        self.xo /= ratio
        self.xg /= ratio
        self._bound()

    def _bound(self) -> None:
        """Keep the linear correction meaningful: no more doubt than about a factor of e."""
        if self.xx > LARGEST_VARIANCE:
            shrink = math.sqrt(LARGEST_VARIANCE / self.xx)
            self.xx = LARGEST_VARIANCE
            self.xo *= shrink
            self.xg *= shrink

    def _raise(self) -> None:
        """Move the mean along the covariance to where no overhead is below zero."""
        if self.o < 0.0:
            lack, self.o = -self.o, 0.0
            if self.oo > 0.0:
                self.g += lack * self.og / self.oo
                self._scale(1.0 + lack * self.xo / self.oo)
        if self.g < 0.0:
            lack, self.g = -self.g, 0.0
            if self.gg > 0.0:
                self.o = max(self.o + lack * self.og / self.gg, 0.0)
                self._scale(1.0 + lack * self.xg / self.gg)
