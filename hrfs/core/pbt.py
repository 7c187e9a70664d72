"""How good trials are copied and varied: exploit and explore (Jaderberg et al. 2017).

Who copies whom is decided among trials of equal age: :mod:`hrfs.core.standings`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.random import Generator

from hrfs.core.search_space import SearchSpace

Mode = Literal["max", "min"]


@dataclass(frozen=True, slots=True)
class PbtSettings:
    """Fractions of the population, and probabilities.

    A trial in the lower ``quantile`` of those that have passed the same interval boundary takes
    over one of the upper ``quantile``.
    """

    quantile: float = 0.25
    resample_probability: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.quantile <= 0.5:
            raise ValueError(f"quantile={self.quantile!r}: must lie within 0 and 0.5")
        if not 0 <= self.resample_probability <= 1:
            raise ValueError(
                f"resample_probability={self.resample_probability!r}: must lie within 0 and 1"
            )


def merit(score: float, mode: Mode) -> float:
    """``score`` as a number of which more is better; what is not finite is worst of all."""
    if not math.isfinite(score):
        return -math.inf
    return score if mode == "max" else -score


def explore(
    hyperparameters: Mapping[str, Any],
    space: SearchSpace,
    settings: PbtSettings,
    rng: Generator,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Vary what may be mutated, one hyperparameter after the other in the order of names.

    Each is drawn anew from its mutation domain with ``resample_probability``; otherwise a
    number is multiplied by 0.8 or 1.2 and clipped, and a listed value moves one step.

    Returns:
        The new values (those that are not mutated unchanged), and what was done to each.
    """
    changed = dict(hyperparameters)
    operations: dict[str, str] = {}
    for name in mutable(space):
        domain = space[name].mutation
        if domain is None or name not in changed:
            continue
        if rng.random() < settings.resample_probability:
            changed[name], operations[name] = domain.sample(rng), "resampled"
        else:
            changed[name], operations[name] = domain.perturb(changed[name], rng)
    return changed, operations


def mutable(space: SearchSpace) -> Iterable[str]:
    """Names of the hyperparameters that training may change, in alphabetical order."""
    return sorted(name for name, hyperparameter in space.items() if hyperparameter.mutation)
