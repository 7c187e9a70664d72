"""What measured overheads say of one worker's overhead and migration.

A slice's overhead ``v`` observes ``o + moved * g`` of :mod:`hrfs.core.estimator_filter`. Its noise
is learned for each worker, since evaluation and storage are as steady or not as they are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hrfs.core.estimator_filter import SURPRISE, WALK, Belief, Confirmation, weight
from hrfs.core.estimator_kinds import Common

OVERHEAD_SPREAD = 0.1**2
"""Variance of a measured overhead from slice to slice, before it is known, as a part of the
first one's square."""
OVERHEAD_PART = 0.02**2
"""Least variance of an overhead, as a part of its square."""
DURATION_PART = 0.002**2
"""Least variance of an overhead, as a part of its slice's square."""
OVERHEAD_MEMORY = 20
"""Slices that the learned variance of the overhead remembers."""
CUT = 9.0
"""Excess of an innovation at which it is cut before it teaches the variance."""
ALIKE = 0.1**2
"""Two surprises agree at least if they differ by no more than this part, squared."""


@dataclass(slots=True)
class OverheadNoise:
    """How a worker's overhead varies from slice to slice, and what a slice of it teaches."""

    learned: float = 0.0
    """Variance in square seconds."""
    slices: int = 0
    surprise: Confirmation = field(default_factory=Confirmation)

    def variance(self, overhead_s: float, duration_s: float) -> float:
        """Variance of a slice's overhead, in square seconds."""
        return (
            self.learned
            + OVERHEAD_PART * overhead_s * overhead_s
            + DURATION_PART * duration_s * duration_s
        )

    def begin(
        self,
        belief: Belief,
        overhead_s: float,
        moved: float,
        duration_s: float,
        prior: Common | None,
    ) -> None:
        """Learn from the first slice of the worker; ``prior`` is its kind's overhead."""
        self.learned = OVERHEAD_SPREAD * overhead_s * overhead_s
        self.slices = 1
        noise = self.variance(overhead_s, duration_s)
        if not moved:
            belief.o, belief.oo = overhead_s, noise
            return
        belief.o, spread = prior or Common(0.5 * overhead_s, overhead_s * overhead_s)
        belief.oo = max(spread, 0.25 * overhead_s * overhead_s)
        total = belief.variance(0.0, 1.0, 1.0) + noise
        belief.correct_overhead(1.0, overhead_s - belief.o - belief.g, total)

    def observe(self, belief: Belief, overhead_s: float, moved: float, duration_s: float) -> None:
        """Learn from a further slice."""
        self.slices = slices = self.slices + 1
        expected_s = belief.o + moved * belief.g
        innovation = overhead_s - expected_s
        noise = self.variance(expected_s, duration_s)
        total = belief.oo + moved * (2.0 * belief.og + belief.gg) + noise
        excess = innovation * innovation / total
        if excess <= SURPRISE:
            self.surprise.last = None
        elif self._changed(innovation, noise):
            self._restart(belief, overhead_s, moved, duration_s)
            return
        belief.correct_overhead(moved, innovation, total / weight(excess))
        rate = 1.0 / (slices + 1) if slices < OVERHEAD_MEMORY else 1.0 / OVERHEAD_MEMORY
        self.learned += rate * ((excess if excess < CUT else CUT) * noise - self.learned)
        belief.oo += WALK * noise

    def _restart(self, belief: Belief, overhead_s: float, moved: float, duration_s: float) -> None:
        """Believe this slice: what was known before holds no more."""
        innovation = overhead_s - belief.o - moved * belief.g
        opened = innovation * innovation
        belief.oo += opened
        belief.gg += moved * opened
        self.learned = min(self.learned, OVERHEAD_SPREAD * overhead_s * overhead_s)
        noise = self.variance(overhead_s, duration_s)
        total = belief.variance(0.0, 1.0, moved) + noise
        belief.correct_overhead(moved, innovation, total)

    def _changed(self, innovation: float, noise: float) -> bool:
        """Whether a surprise is a change for good."""
        if self.slices == 2 and innovation < 0.0:
            return True  # The first slice held the start of a process as well.
        alike = max(noise, ALIKE * innovation * innovation)
        return self.surprise.of(innovation, alike) is not None
