"""What a simulated run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hrfs.experiment.records import ExploitRecord, FailureRecord, SliceRecord


@dataclass(frozen=True, slots=True)
class Simulation:
    """Everything that happened. Times are virtual seconds since the start of the run."""

    records: list[SliceRecord]
    """The finished slices, in the order of their numbers."""
    exploits: list[ExploitRecord]
    failures: list[FailureRecord]
    """Slices that failed, or were lost with their worker, in the order of their ends."""
    lost_s: Mapping[str, float]
    """Seconds that each worker spent on slices that came to nothing."""
    retired: tuple[str, ...]
    """Workers that were retired when the run ended, in the order in which they joined."""
    begin_s: float
    """When the first slice began, whatever became of it."""
    end_s: float
    """When the last trial finished."""

    @property
    def makespan_s(self) -> float:
        """Seconds from the first start to the last end."""
        return self.end_s - self.begin_s
