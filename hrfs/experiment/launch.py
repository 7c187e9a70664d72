"""What starts a run: the choice of scheduler, the trainer by name, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RAY_PBT = "ray_pbt"
"""The one scheduler that is not a policy of the scheduling core: Ray Tune's own."""

Status = Literal["finished", "interrupted", "gave up"]


@dataclass(frozen=True, slots=True)
class SchedulerChoice:
    """Which rule hands out slices.

    ``policy`` is one of ``hrfs``, ``hrfs_paper``, ``static``, ``fastest_only``, ``greedy`` (the
    scheduling core) or ``ray_pbt`` (Ray Tune's own PopulationBasedTraining). ``request`` is
    for ``ray_pbt`` alone: the kind of worker that every trial asks for, ``cpu``, ``gpu`` or
    ``auto`` (the kind that has most workers in all).
    """

    policy: str
    request: str = "auto"
    max_staleness_iterations: int | None = None
    """For ``hrfs`` alone: no trial is advanced further than this beyond the least advanced."""


@dataclass(frozen=True, slots=True)
class RunnerSpec:
    """Who trains: a factory ``package.module:name`` and the plain settings it is given."""

    factory: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    final: str | None = None
    """``package.module:name`` of the function that evaluates and exports the winner."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``best_trial`` is None if no trial was ever evaluated."""

    status: Status
    best_trial: int | None
    best_score: float | None
    test_metrics: Mapping[str, float]
    reason: str = ""
