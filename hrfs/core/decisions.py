"""What the scheduling core wants done, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StartSlice:
    """Train ``trial`` on ``worker`` for ``iterations`` steps, beginning from ``checkpoint``.

    ``checkpoint`` is None for a trial that has never been saved. ``parent`` names the donor
    if the checkpoint is one that the trial took over and has not trained from yet: weights
    and hyperparameters of an exploit always arrive together, and again if the slice fails.
    """

    slice: int
    trial: int
    worker: str
    from_iteration: int
    iterations: int
    hyperparameters: Mapping[str, Any]
    checkpoint: str | None
    parent: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Exploit:
    """``trial`` takes over the donor's ``checkpoint``, which must be kept from now on.

    The weights travel with the trial's next :class:`StartSlice`; the trial is not running.
    """

    trial: int
    donor: int
    iteration: int
    donor_iteration: int
    checkpoint: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    operations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RollBack:
    """``trial`` goes on from ``iteration``, since ``lost`` cannot be read.

    ``lost`` is the checkpoint of ``from_iteration``. The hyperparameters stay as they are.
    """

    trial: int
    from_iteration: int
    iteration: int
    lost: str
    checkpoint: str | None
    """That of ``iteration``; None if no older one is kept and the trial begins anew."""
    donor: int | None
    """Donor of the weights that were lost, if the trial had not trained from them yet."""
    reason: str


@dataclass(frozen=True, slots=True)
class RetireWorker:
    """The worker gets nothing any more: it could only delay the end."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecallWorker:
    """A retired worker is served again."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The worker stays free for now. Told once, when the waiting begins."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class FinishTrial:
    """The trial trains no more; its last checkpoint is its result."""

    trial: int
    reason: str


Decision = StartSlice | Exploit | RollBack | RetireWorker | RecallWorker | Wait | FinishTrial
