"""What starts a run: the choice of scheduler, the trainer by name, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hrfs.experiment.errors import ConfigError

HRFS = "hrfs"
"""The one policy that bounds the staleness of trials on request."""
RAY_PBT = "ray_pbt"
"""The one scheduler that is not a policy of the scheduling core: Ray Tune's own."""
REPLAY = "replay"
"""``hrfs`` with one trial whose hyperparameters follow a schedule."""

TRIALS_FOLDER = "trials"
"""Folder of the run's output that holds a folder with checkpoints per trial."""

Status = Literal["finished", "interrupted", "gave up"]


@dataclass(frozen=True, slots=True)
class SchedulerChoice:
    """Which rule hands out slices.

    ``policy`` is one of ``hrfs``, ``hrfs_paper``, ``static``, ``fastest_only``, ``greedy`` (the
    scheduling core) or ``ray_pbt`` (Ray Tune's own PopulationBasedTraining). ``request`` is
    for ``ray_pbt`` alone: the kind of worker that every trial asks for, ``cpu``, ``gpu`` or
    ``auto`` (the request with which the population is predicted to be done first).
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


def check_seeds(policy: str, seeds: Sequence[int]) -> None:
    """Make sure that the populations of these seeds can be, and may share one run.

    Raises:
        ConfigError: no seed, a negative one or one twice, or several and a scheduler that would
            exploit across their populations.
    """
    key, shown = "seeds", list(seeds)
    if not seeds:
        rule = "must name at least one seed"
        raise ConfigError(key, shown, rule, "null trains the one population of seed")
    for seed in seeds:
        if seed < 0:
            raise ConfigError(key, shown, f"{seed} must be at least 0")
        if shown.count(seed) > 1:
            rule = f"names seed {seed} more than once"
            raise ConfigError(key, shown, rule, "each seed is one population")
    if policy == RAY_PBT and len(seeds) > 1:
        rule = f"scheduler={RAY_PBT} would exploit across the populations"
        remedy = f"give each a run: --multirun seed={','.join(map(str, seeds))}"
        raise ConfigError(key, shown, rule, remedy)


@dataclass(frozen=True, slots=True)
class RunnerSpec:
    """Who trains: a factory ``package.module:name`` and the plain settings it is given."""

    factory: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    final: str | None = None
    """``package.module:name`` of the function that evaluates and exports the winner."""
    check: str | None = None
    """``package.module:name`` of the function that is given the settings and the workers, and
    refuses (ConfigError) those that cannot train so. The driver calls it: it imports no torch."""


@dataclass(frozen=True, slots=True)
class PopulationOutcome:
    """Who won one population. ``best_trial`` is None if none of its trials was ever evaluated."""

    seed: int
    best_trial: int | None
    best_score: float | None
    test_metrics: Mapping[str, float]
    reason: str = ""
    """Why the winner was not tested; empty if it was."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``best_trial`` is None if no trial was ever evaluated.

    ``best_trial`` is the best of all populations, and ``test_metrics`` are its own.
    """

    status: Status
    best_trial: int | None
    best_score: float | None
    test_metrics: Mapping[str, float]
    reason: str = ""
    populations: tuple[PopulationOutcome, ...] = ()
    """How each population ended, in the order of the plan's seeds."""
    request: Mapping[str, Any] | None = None
    """Under ``ray_pbt`` what every trial asked for, and what that was chosen from."""
