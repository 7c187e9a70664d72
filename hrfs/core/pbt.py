"""How good trials are copied and varied: exploit and explore (Jaderberg et al. 2017).

Trials of one population are of unlike age, so two trials are compared by their scores at the
last interval boundary that both have passed. A trial's standing is the share of the others
that it beats in such comparisons; the lower quantile by standing takes over from the upper.
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

    A trial in the lower ``quantile`` of the population takes over one of the upper ``quantile``.
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


class Standings:
    """Who is ahead of whom, from each trial's merit at the interval boundaries it crossed.

    A comparison of n trials costs O(n^2), once per trial and interval.
    """

    def __init__(self) -> None:
        self._merits: dict[int, dict[int, float]] = {}
        self._diverged: set[int] = set()

    def record(self, trial: int, generation: int, merit_value: float) -> None:
        """Note the merit that ``trial`` had when it first passed boundary ``generation``.

        Boundaries are passed in ascending order, so this is the trial's latest merit.
        """
        self._merits.setdefault(trial, {})[generation] = merit_value
        if math.isinf(merit_value):
            self._diverged.add(trial)
        else:
            self._diverged.discard(trial)

    def forget(self, trial: int) -> None:
        """Drop a trial that is no longer one of the population."""
        self._merits.pop(trial, None)
        self._diverged.discard(trial)

    def compare(self, trial: int, other: int) -> float:
        """1 if ``trial`` was ahead at the last boundary that both passed, 0 behind, 0.5 even.

        A diverged trial is behind every healthy one, however well it did before.
        """
        lost, other_lost = trial in self._diverged, other in self._diverged
        if lost or other_lost:
            return 0.5 if lost and other_lost else float(other_lost)
        mine, theirs = self._merits[trial], self._merits[other]
        common = mine.keys() & theirs.keys()
        if not common:
            return 0.5
        at = max(common)
        if mine[at] == theirs[at]:
            return 0.5
        return 1.0 if mine[at] > theirs[at] else 0.0

    def ranking(self) -> list[int]:
        """All trials that passed a boundary, the worst first; even ones by number."""
        trials = sorted(self._merits)
        beaten = {
            trial: sum(self.compare(trial, other) for other in trials if other != trial)
            for trial in trials
        }
        return sorted(trials, key=lambda trial: (beaten[trial], trial))

    def diverged(self, trial: int) -> bool:
        """Whether the trial's latest recorded merit is that of a failure to train."""
        return trial in self._diverged

    def donors_for(self, trial: int, quantile: float) -> list[int]:
        """Whom ``trial`` may take over from, worst first; empty if it is to stay as it is.

        ``ceil(n * quantile)`` trials are the lower and as many the upper quantile (never
        overlapping). A diverged trial counts as one of the lower whatever its rank. Donors
        are those of the upper quantile that are ahead of ``trial`` at equal age.
        """
        ranking = self.ranking()
        if trial not in self._merits or len(ranking) < 2:
            return []
        size = min(math.ceil(len(ranking) * quantile), len(ranking) // 2)
        if trial not in ranking[:size] and not (size and self.diverged(trial)):
            return []
        return [
            donor for donor in ranking[len(ranking) - size :] if self.compare(donor, trial) == 1
        ]


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
