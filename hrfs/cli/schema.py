"""Types of all configuration keys, so that a typo or a wrong type is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

SCHEMA_NAME = "hrfs_schema"
"""Name under which ``conf/config.yaml`` lists the schema first among its defaults."""


@dataclass
class SchedulerConfig:
    """Which rule hands out slices (group ``scheduler``)."""

    policy: str = MISSING
    request: str = "auto"
    """Kind of worker that the trials of ``ray_pbt`` ask for."""
    max_staleness: int | None = None
    """Iterations that a trial of ``hrfs`` may be ahead of the least advanced one; null: any."""


@dataclass
class NodeAllocationConfig:
    """How one node is cut into workers; 0 means no worker of that kind."""

    cpus_per_worker: int = 0
    gpus_per_worker: float = 0.0
    cpus_per_gpu_worker: int = 1


@dataclass
class EmulatedWorkerConfig:
    """One logical worker on this machine."""

    name: str = MISSING
    kind: str = "cpu"
    slowdown: float = 1.0
    threads: int = 1


@dataclass
class ClusterConfig:
    """Where a run trains (group ``cluster``)."""

    mode: str = MISSING
    address: str | None = None
    allocation: Any = "auto"
    """``auto``, or a mapping from host name, IP address or ``default`` to an allocation."""
    emulated: list[EmulatedWorkerConfig] = field(default_factory=list)
    reserved_cpus: int = 1
    answer_within_s: float = 10.0
    wait_s: float = 600.0
    hung_after: float | None = 5.0
    hung_least_s: float = 60.0
    hung_unknown_s: float = 3600.0
    dashboard: bool = False


@dataclass
class PopulationConfig:
    """How many trials, how far, and how they are varied (group ``population``)."""

    size: int = MISSING
    stop_iterations: int = MISSING
    interval_iterations: int = MISSING
    target_score: float | None = None
    stop_on_target: bool = False
    metric: str = "val/acc"
    mode: str = "max"
    quantile: float = 0.25
    resample_probability: float = 0.25
    search_space: dict[str, list[Any]] = field(default_factory=dict)
    """First values: ``[uniform|loguniform|int, low, high]`` or ``[choice, value, ...]``."""
    mutations: dict[str, list[Any]] = field(default_factory=dict)
    """Which of them training may change, and the range to which they are clipped."""


@dataclass
class ReportConfig:
    """What the console shows (group ``report``)."""

    every_s: float = 300.0
    console: str = "auto"


@dataclass
class HrfsConfig:
    """The whole configuration.

    ``model``, ``dataset`` and ``trainer`` stay open, for users bring their own keys; these are
    the arguments of whatever ``_target_`` names.
    """

    seed: int = 0
    seeds: list[int] | None = None
    """One population for each, in one run; null: one, of ``seed``."""
    max_failures: int = 3
    allowed_targets: list[str] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    population: PopulationConfig = field(default_factory=PopulationConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    report: ReportConfig = field(default_factory=ReportConfig)


def register() -> None:
    """Make the schema known to Hydra; may be called more than once."""
    ConfigStore.instance().store(name=SCHEMA_NAME, node=HrfsConfig, provider="hrfs")
