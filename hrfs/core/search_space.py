"""Where hyperparameters come from, and how population-based training moves them.

A :class:`Hyperparameter` has a domain from which its first value is drawn and, if training
may change it, a domain in which it is mutated. The paper draws the learning rate from
uniform(0.001, 1) and mutates it within (0.0001, 1); it draws the momentum from
uniform(0.001, 1) and mutates it among 0.8, 0.9 and 0.99.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

PERTURB_FACTORS = (0.8, 1.2)
"""Factors of the continuous perturbation (paper; Jaderberg et al. 2017)."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """A real number in [low, high], all equally likely."""

    low: float
    high: float

    def sample(self, rng: Generator) -> float:
        """Draw one value."""
        return float(rng.uniform(self.low, self.high))

    def perturb(self, value: float, rng: Generator) -> tuple[float, str]:
        """``value`` times 0.8 or 1.2, clipped to the range, and what was done."""
        factor = PERTURB_FACTORS[int(rng.integers(2))]
        return self.clip(value * factor), f"x{factor:g}"

    def clip(self, value: float) -> float:
        """The nearest value within the range."""
        return min(max(float(value), self.low), self.high)


@dataclass(frozen=True, slots=True)
class LogUniform(Uniform):
    """A real number in [low, high], low > 0, all orders of magnitude equally likely."""

    def sample(self, rng: Generator) -> float:
        """Draw one value."""
        return self.clip(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))


@dataclass(frozen=True, slots=True)
class IntRange:
    """A whole number in [low, high], both ends included."""

    low: int
    high: int

    def sample(self, rng: Generator) -> int:
        """Draw one value."""
        return int(rng.integers(self.low, self.high + 1))

    def perturb(self, value: int, rng: Generator) -> tuple[int, str]:
        """``value`` times 0.8 or 1.2, at least one away where the range allows, clipped."""
        factor = PERTURB_FACTORS[int(rng.integers(2))]
        moved = round(min(max(value * factor, self.low), self.high))
        if moved == value:
            moved = value + (1 if factor > 1 else -1)
        return min(max(moved, self.low), self.high), f"x{factor:g}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the listed values; their order is the scale along which they are mutated."""

    values: tuple[Any, ...]

    def sample(self, rng: Generator) -> Any:
        """Draw one value."""
        return self.values[int(rng.integers(len(self.values)))]

    def perturb(self, value: Any, rng: Generator) -> tuple[Any, str]:
        """The left or right neighbour in the list (the end stays); a fresh draw if foreign."""
        if value not in self.values:
            return self.sample(rng), "resampled: not among the listed values"
        step = -1 if int(rng.integers(2)) == 0 else 1
        index = min(max(self.values.index(value) + step, 0), len(self.values) - 1)
        return self.values[index], "one step left" if step < 0 else "one step right"


Domain = Uniform | LogUniform | IntRange | Choice


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """First drawn from ``initial``; mutated within ``mutation`` unless that is None."""

    initial: Domain
    mutation: Domain | None = None


SearchSpace = Mapping[str, Hyperparameter]


def sample_all(space: SearchSpace, rng: Generator) -> dict[str, Any]:
    """First values of all hyperparameters, drawn in the order of their names."""
    return {name: space[name].initial.sample(rng) for name in sorted(space)}
