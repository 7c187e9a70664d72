"""Shapes of the learning rate over a trial's life; plain arithmetic, imports no torch.

A trial's ``lr`` is the peak, which population-based training may move at any time. What the
optimizer gets in iteration i of S is ``lr`` times f(i / S), and f is one of these:

``cosine``
    f(x) = (1 + cos(pi x)) / 2, which is equation 5 of Loshchilov and Hutter (SGDR, ICLR 2017)
    with a lowest rate of 0 and without restarts.
``one_cycle``
    One rise and one fall, as Smith and Topin (Super-Convergence, 2018) have it: with warm-up
    fraction w, f(x) = s + (1 - s) x / w for x < w, where s is :data:`START`, then the cosine
    f(x) = (1 + cos(pi (x - w) / (1 - w))) / 2. Theirs falls in two straight lines.

As f depends on the iteration alone, it is the same however a trial's life is cut into slices and
wherever these are trained, and a trial that takes over another's weights keeps its own place in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CONSTANT, COSINE, ONE_CYCLE = "constant", "cosine", "one_cycle"
LR_SCHEDULES = (CONSTANT, COSINE, ONE_CYCLE)
"""What ``trainer.lr_schedule`` may be; under the first the rate is the trial's ``lr``."""
START = 0.1
"""Part of the peak at which ``one_cycle`` begins."""


@dataclass(frozen=True, slots=True)
class LrShape:
    """The factor by which a trial's ``lr`` is multiplied, by iteration."""

    name: str
    """``cosine`` or ``one_cycle``."""
    iterations: int
    """S, at least 1: those of a trial's whole life."""
    warmup_fraction: float
    """w, in [0, 1): part of it in which ``one_cycle`` rises; 0 makes it ``cosine``."""

    def factor(self, iteration: int) -> float:
        """f(iteration / S), in [0, 1].

        Iterations count from 0, so a life does not reach the 0 at its end; what is trained beyond
        it (a measurement of speed may be) has the rate of the end.
        """
        place = min(iteration / self.iterations, 1.0)
        warmup = self.warmup_fraction if self.name == ONE_CYCLE else 0.0
        if place < warmup:
            return START + (1.0 - START) * place / warmup
        return (1.0 + math.cos(math.pi * (place - warmup) / (1.0 - warmup))) / 2.0
