"""What a scheduling policy is: a function from a snapshot to one choice.

A policy is asked about one free worker at a time and only while some trial waits. It must not
change the snapshot, and the same snapshot must give the same choice. It may keep a memo of
what it has computed, but nothing that a replay of the events would not give again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hrfs.core.backlog import Backlog
from hrfs.core.estimator import SpeedEstimator
from hrfs.core.roster import Roster
from hrfs.core.state import Trial, WaitingList, Worker


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a policy may look at. References into the core's state, not copies: read only."""

    time_s: float
    stop_iterations: int
    interval_iterations: int
    max_staleness_iterations: int | None
    """No trial may be advanced further than this beyond the least advanced unfinished one."""
    leader: int
    waiting: WaitingList
    pool_changes: int
    """Changes whenever a worker joins, leaves or is measured first; see ``State``."""
    trials: Mapping[int, Trial]
    workers: Mapping[str, Worker]
    """All that ever were, those that have left among them."""
    present: int
    """Workers that are there, whatever they do."""
    tca: Mapping[str, int]
    """The paper's time-cost measure of each measured worker, in slices."""
    speeds: SpeedEstimator
    roster: Roster
    backlog: Backlog
    target_reached: bool
    """Whether every population has a trial that reached the accuracy target."""
    recalled: bool

    @property
    def remaining_slices(self) -> float:
        """Slices of a full interval that the whole population has left, were all trials as
        far as the leader: ``floor((S - leader) / K * N)``; infinite before the first slice.
        """
        if self.leader == 0:
            return float("inf")
        left = self.stop_iterations - self.leader
        return left * len(self.trials) // self.interval_iterations


@dataclass(frozen=True, slots=True)
class Start:
    """Give the worker this trial for so many iterations."""

    trial: int
    iterations: int
    reason: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Give the worker nothing any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Give the worker nothing now; ask again after the next event."""

    reason: str


Choice = Start | Retire | Hold


class Policy(ABC):
    """A scheduling rule."""

    @abstractmethod
    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """What the free ``worker`` is to do. At least one trial waits."""

    def order(self, snapshot: Snapshot, free: Sequence[str]) -> Sequence[str]:
        """In which order the ``free`` workers are served; as they became free, if not stated."""
        return free

    def recall(self, snapshot: Snapshot, worker: Worker) -> str | None:
        """Why a retired worker is to be served again, if it is; by default it never is.

        Asked of the worker that is the fastest of the retired ones, whenever trials wait.
        """
        return None
