"""What starts a run: the choice of scheduler, the trainer by name, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hrfs.experiment.errors import ConfigError

HRFS = "hrfs"
"""The one policy that bounds the staleness of trials on request."""
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


def check_max_staleness(
    policy: str,
    iterations: int | None,
    interval_iterations: int,
    interval_name: str,
    if_other_policy: str = "",
    if_too_few: str = "",
) -> None:
    """Make sure that the policy can keep trials within so many iterations; None is no limit.

    ``interval_name`` says where the interval stands, and the last two what to do in either
    case, in the words of whoever asks.

    Raises:
        ConfigError: another policy than ``hrfs``, or fewer iterations than the interval.
    """
    key = "scheduler.max_staleness"
    if iterations is None:
        return
    if policy != HRFS:
        rule = f"is for scheduler={HRFS} alone; the other rules know no such limit"
        raise ConfigError(key, iterations, rule, if_other_policy)
    if iterations < interval_iterations:
        rule = f"must be at least {interval_name}, which is {interval_iterations}"
        raise ConfigError(key, iterations, rule, if_too_few)


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
