"""What happens to a run, as the scheduling core is told it.

Every event carries ``time_s``, seconds since the start of the run: the core has no clock.
Trials and slices are numbered from 0, workers have names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TrialAdded:
    """A new member of the population, with its first hyperparameters."""

    time_s: float
    trial: int
    hyperparameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrialRemoved:
    """A trial that trains no more, whatever the scheduler wants (it failed too often)."""

    time_s: float
    trial: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker is there and free. One that had left keeps what was measured of it, if it left
    without having hung.
    """

    time_s: float
    worker: str
    kind: str


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker is gone; a slice under way on it is lost and its trial waits again.

    ``hung`` says that it got nothing done in a multiple of the time expected: what was measured
    of it is believed no more, and should it join again it is measured anew.
    """

    time_s: float
    worker: str
    reason: str
    hung: bool = False


@dataclass(frozen=True, slots=True)
class SliceDone:
    """A slice ended, was evaluated, and its trial's state is safe at ``checkpoint``.

    ``duration_s`` is how long the slice held its worker. ``score`` is None if nothing was
    measured and NaN if training diverged. ``checkpoint`` is a name that only the driver
    understands. ``overhead_s`` are those seconds of the duration that were not training
    (loading, evaluation, saving, moving); None where nobody measured them.
    """

    time_s: float
    slice: int
    duration_s: float
    score: float | None = None
    checkpoint: str | None = None
    overhead_s: float | None = None


@dataclass(frozen=True, slots=True)
class SliceFailed:
    """A slice ended without a result; its worker lives and is free again."""

    time_s: float
    slice: int
    reason: str


@dataclass(frozen=True, slots=True)
class CheckpointLost:
    """A slice could not begin: the checkpoint that it was to begin from is damaged or gone.

    Its worker lives and is free again. The driver must be sure that the checkpoint is to blame,
    and not the way to it: its trial goes back to the one before, and never asks for it again.
    """

    time_s: float
    slice: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed and nothing else: free workers are looked at again."""

    time_s: float


Event = (
    TrialAdded
    | TrialRemoved
    | WorkerJoined
    | WorkerLeft
    | SliceDone
    | SliceFailed
    | CheckpointLost
    | Tick
)
