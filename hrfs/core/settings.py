"""What is set before a run and stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from hrfs.core.pbt import Mode, PbtSettings
from hrfs.core.populations import Populations
from hrfs.core.search_space import SearchSpace
from hrfs.core.timetable import Timetable


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change during a run. Iterations are optimizer steps.

    Raises:
        ValueError: an interval below 1 or beyond the stop.
    """

    stop_iterations: int
    interval_iterations: int
    search_space: SearchSpace = field(default_factory=dict)
    pbt: PbtSettings = field(default_factory=PbtSettings)
    mode: Mode = "max"
    target_score: float | None = None
    stop_on_target: bool = False
    populations: Populations = field(default_factory=Populations)
    """Who exploits whom, and the seeds of all that is drawn."""
    max_staleness_iterations: int | None = None
    """No trial is advanced further than this beyond the least advanced one (policy ``hrfs``)."""
    timetable: Timetable | None = None
    """What every trial is trained with, and when; None: what it was added with, and explores."""

    def __post_init__(self) -> None:
        if not 1 <= self.interval_iterations <= self.stop_iterations:
            raise ValueError(
                f"interval_iterations={self.interval_iterations}: must be at least 1 and at most "
                f"stop_iterations={self.stop_iterations}"
            )
        staleness = self.max_staleness_iterations
        if staleness is not None and staleness < self.interval_iterations:
            raise ValueError(
                f"max_staleness_iterations={staleness}: must be at least "
                f"interval_iterations={self.interval_iterations}"
            )
