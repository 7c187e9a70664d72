"""What the scheduling core knows: trials, workers, slices under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hrfs.core.waiting import WaitingList, WaitingTrial

__all__ = [
    "RunningSlice",
    "State",
    "Trial",
    "TrialPhase",
    "WaitingList",
    "WaitingTrial",
    "Worker",
    "WorkerPhase",
]


class TrialPhase(Enum):
    """Where a trial is: exactly one of these places at any moment."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


class WorkerPhase(Enum):
    """What a worker does."""

    FREE = "free"
    BUSY = "busy"
    RETIRED = "retired"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class SavedState:
    """A state of a trial that is kept in case its present one cannot be read."""

    iteration: int
    checkpoint: str | None
    parent: int | None
    """Donor whose checkpoint this is, if it is one that the trial took over."""
    worker: str | None
    score: float | None


@dataclass(slots=True)
class Trial:
    """One member of the population."""

    number: int
    hyperparameters: Mapping[str, Any]
    phase: TrialPhase = TrialPhase.WAITING
    slice: int | None = None
    """The slice under way, if one is."""
    iteration: int = 0
    recorded_iterations: int = 0
    """Sum over the trial's finished slices; ``iteration + lost_iterations`` at all times."""
    lost_iterations: int = 0
    """Iterations that were done and fell with a checkpoint that could not be read."""
    checkpoint: str | None = None
    parent: int | None = None
    """Donor whose checkpoint this is, until a slice trained from it has finished."""
    last_worker: str | None = None
    last_score: float | None = None
    before: SavedState | None = None
    """The state before the present one: its checkpoint must be kept too."""

    def saved(self) -> SavedState:
        """The present state."""
        return SavedState(
            self.iteration, self.checkpoint, self.parent, self.last_worker, self.last_score
        )


@dataclass(slots=True)
class Worker:
    """One bundle of resources, and what was measured of it."""

    name: str
    kind: str
    phase: WorkerPhase = WorkerPhase.FREE
    slice: int | None = None
    waiting_told: bool = False
    """Whether its present waiting has been reported, so that it is reported once."""
    slices: int = 0
    first_s_per_iteration: float | None = None


@dataclass(frozen=True, slots=True)
class RunningSlice:
    """A slice that was decided and has not ended."""

    number: int
    trial: int
    worker: str
    from_iteration: int
    iterations: int
    started_s: float


@dataclass(slots=True)
class State:
    """Everything that events change."""

    waiting: WaitingList
    trials: dict[int, Trial] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    running: dict[int, RunningSlice] = field(default_factory=dict)
    free: dict[str, None] = field(default_factory=dict)
    """Free workers in the order in which they became free: a set that keeps its order."""
    pool_changes: int = 0
    """How often a worker joined, left, or was measured for the first time. What a policy has
    worked out from the pool holds for as long as this stays the same."""
    next_slice: int = 0
    leader: int = 0
    """Most iterations that any trial has done."""
    reached: set[int] = field(default_factory=set)
    """Populations of which a trial has reached the target."""
    target_reached: bool = False
    """Whether all of them are among those."""
    present: int = 0
    """Workers that are there, whatever they do."""
    recalled: bool = False
    """Whether all workers had retired while trials waited, and were called back."""

    def set_free(self, worker: Worker) -> None:
        """The worker does nothing now and may be given work; it is behind all free ones."""
        worker.phase, worker.slice, worker.waiting_told = WorkerPhase.FREE, None, False
        self.free[worker.name] = None

    def comes_from_elsewhere(self, trial: Trial, worker: str) -> bool:
        """Whether the weights that the trial goes on from were last on another worker."""
        source = trial if trial.parent is None else self.trials[trial.parent]
        return source.last_worker is not None and source.last_worker != worker
