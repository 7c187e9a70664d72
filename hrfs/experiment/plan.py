"""What a run is: the population, how it is perturbed, and when it stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hrfs.core.pbt import Mode, PbtSettings
from hrfs.core.populations import Populations
from hrfs.core.search_space import SearchSpace, sample_all
from hrfs.core.timetable import Timetable


@dataclass(frozen=True, slots=True)
class Plan:
    """One experiment, fully resolved. Iterations are optimizer steps.

    ``trials`` counts those of all populations together, of which there is one per seed.

    ``labels`` are what reports show beside the numbers (model, dataset, scheduler, batch
    size); nothing is decided by them.
    """

    trials: int
    stop_iterations: int
    interval_iterations: int
    search_space: SearchSpace
    pbt: PbtSettings = field(default_factory=PbtSettings)
    metric: str = "val/acc"
    mode: Mode = "max"
    target_score: float | None = None
    stop_on_target: bool = False
    seeds: tuple[int, ...] = (0,)
    labels: Mapping[str, Any] = field(default_factory=dict)
    timetable: Timetable | None = None
    """Hyperparameters by iteration, if they are given beforehand."""

    def __post_init__(self) -> None:
        if self.trials % len(self.seeds):
            raise ValueError(f"trials={self.trials}: must be a multiple of {len(self.seeds)} seeds")

    @property
    def populations(self) -> Populations:
        """Which trial belongs to which seed."""
        return Populations(self.seeds, self.trials // len(self.seeds))

    def initial_hyperparameters(self, trial: int) -> dict[str, Any]:
        """First values of one trial, a function of its seed and member number alone."""
        if self.timetable is not None:
            return self.timetable.values_at(0)
        identity = self.populations.identity(trial)
        return sample_all(self.search_space, np.random.default_rng(identity))
