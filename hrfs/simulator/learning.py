"""What trials learn in virtual time, so that exploit, target and early stop have scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hrfs.core.populations import Populations
from hrfs.core.search_space import Hyperparameter, LogUniform, SearchSpace, sample_all
from hrfs.simulator.spec import LearningCurve
from hrfs.simulator.streams import Purpose, Stream

LEARNING_RATE = "learning_rate"
CEILING = "ceiling"
HALF_LIFE = "half_life_iterations"


class Learners:
    """What each population learns by itself, by the numbers that trials have in the run."""

    def __init__(self, curve: LearningCurve, populations: Populations) -> None:
        self._populations = populations
        self._learning = [
            Learning(curve, len(populations.members(number)), seed)
            for number, seed in enumerate(populations.seeds)
        ]
        self.search_space = _search_space(curve)

    def first_hyperparameters(self, trial: int) -> dict[str, Any]:
        """:meth:`Learning.first_hyperparameters` of the trial's population."""
        learning, member = self._of(trial)
        return learning.first_hyperparameters(member)

    def train(
        self, trial: int, iterations: int, hyperparameters: Mapping[str, Any], number: int
    ) -> float:
        """:meth:`Learning.train` in the trial's population."""
        learning, member = self._of(trial)
        return learning.train(member, iterations, hyperparameters, number)

    def take_over(self, trial: int, donor: int) -> None:
        """``trial`` has the weights of ``donor``, who is of its population, from now on.

        Raises:
            ValueError: it is of another.
        """
        learning, member = self._of(trial)
        source, giver = self._of(donor)
        if source is not learning:
            raise ValueError(f"trial {trial} is to take over trial {donor} of another population")
        learning.take_over(member, giver)

    def _of(self, trial: int) -> tuple[Learning, int]:
        population = self._populations.of(trial)
        return self._learning[population], self._populations.identity(trial)[1]


class Learning:
    """The true score of every trial's weights of one population, and how slices change it.

    Trials are numbered within the population, slices within the run.
    """

    def __init__(self, curve: LearningCurve, trials: int, seed: int) -> None:
        self._curve = curve
        self._scores = [curve.start] * trials
        self._first = np.random.default_rng((seed, int(Purpose.FIRST_HYPERPARAMETERS)))
        self._noise = Stream(seed, Purpose.SCORE, "normal")
        self.search_space = _search_space(curve)

    def first_hyperparameters(self, trial: int) -> dict[str, Any]:
        """Those of a new trial; to be asked for each trial once, in ascending order."""
        curve = self._curve
        return {
            **sample_all(self.search_space, self._first),
            CEILING: curve.ceilings[trial % len(curve.ceilings)],
            HALF_LIFE: curve.half_lives_iterations[trial % len(curve.half_lives_iterations)],
        }

    def train(
        self, trial: int, iterations: int, hyperparameters: Mapping[str, Any], number: int
    ) -> float:
        """Advance ``trial`` by slice ``number`` and return the score that is measured then.

        The distance to the ceiling shrinks to ``2 ** (-iterations * pace / half_life)`` of what
        it was; the pace is 1 at the best learning rate.
        """
        ceiling, half_life = hyperparameters[CEILING], hyperparameters[HALF_LIFE]
        kept = 2.0 ** (-iterations * self._pace(hyperparameters) / half_life)
        self._scores[trial] = ceiling - (ceiling - self._scores[trial]) * kept
        noise = self._curve.noise
        return float(self._scores[trial] + (noise * self._noise[number] if noise else 0.0))

    def take_over(self, trial: int, donor: int) -> None:
        """``trial`` has the donor's last saved weights from now on."""
        self._scores[trial] = self._scores[donor]

    def _pace(self, hyperparameters: Mapping[str, Any]) -> float:
        """``2 ** -(d / half_width)^2`` with d the distance to the best rate in decades."""
        rate = self._curve.learning_rate
        if rate is None:
            return 1.0
        decades = math.log10(hyperparameters[LEARNING_RATE]) - math.log10(rate.best)
        away = decades / rate.half_width_decades
        return float(2.0 ** -(away * away))


def _search_space(curve: LearningCurve) -> SearchSpace:
    if curve.learning_rate is None:
        return {}
    domain = LogUniform(curve.learning_rate.low, curve.learning_rate.high)
    return {LEARNING_RATE: Hyperparameter(domain, domain)}
