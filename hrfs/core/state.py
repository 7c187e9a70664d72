"""What the scheduling core knows: trials, workers, slices under way."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


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


@dataclass(slots=True)
class Trial:
    """One member of the population."""

    number: int
    hyperparameters: Mapping[str, Any]
    phase: TrialPhase = TrialPhase.WAITING
    iteration: int = 0
    recorded_iterations: int = 0
    """Sum over the trial's finished slices; equals ``iteration`` at all times."""
    checkpoint: str | None = None
    parent: int | None = None
    """Donor whose checkpoint this is, until a slice trained from it has finished."""
    last_worker: str | None = None
    last_score: float | None = None


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


@dataclass(frozen=True, slots=True, order=True)
class WaitingTrial:
    """A place in the waiting list, ordered by iteration and then by arrival."""

    iteration: int
    arrival: int
    trial: int = field(compare=False)


class WaitingList:
    """Trials that wait for a worker, ascending by iteration, equals by arrival."""

    def __init__(self) -> None:
        self._places: list[WaitingTrial] = []
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[WaitingTrial]:
        return iter(self._places)

    @property
    def first(self) -> WaitingTrial:
        """The least advanced trial. Raises IndexError if none waits."""
        return self._places[0]

    @property
    def last(self) -> WaitingTrial:
        """The most advanced trial. Raises IndexError if none waits."""
        return self._places[-1]

    def add(self, trial: int, iteration: int) -> None:
        """Insert behind the trials of the same iteration."""
        insort(self._places, WaitingTrial(iteration, self._arrivals, trial))
        self._arrivals += 1

    def remove(self, trial: int, iteration: int) -> None:
        """Take out a trial that waits at ``iteration``.

        Raises:
            KeyError: no such trial waits there.
        """
        end = bisect_right(self._places, iteration, key=lambda place: place.iteration)
        for index in range(end - 1, -1, -1):
            if self._places[index].iteration < iteration:
                break
            if self._places[index].trial == trial:
                del self._places[index]
                return
        raise KeyError(f"trial {trial} does not wait at iteration {iteration}")


@dataclass(slots=True)
class State:
    """Everything that events change."""

    trials: dict[int, Trial] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    running: dict[int, RunningSlice] = field(default_factory=dict)
    waiting: WaitingList = field(default_factory=WaitingList)
    free: list[str] = field(default_factory=list)
    """Free workers in the order in which they became free."""
    next_slice: int = 0
    leader: int = 0
    """Most iterations that any trial has done."""
    target_reached: bool = False
    recalled: bool = False
    """Whether all workers had retired while trials waited, and were called back."""
    stopped: bool = False
    """Whether the run ends early because its target was reached."""
