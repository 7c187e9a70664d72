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
    """One of ``hrfs``, ``hrfs_paper``, ``static``, ``greedy``, ``fastest_only``, ``ray_pbt`` and
    ``replay``.
    """
    request: str = "auto"
    """Kind of worker that the trials of ``ray_pbt`` ask for."""
    max_staleness: int | None = None
    """Iterations that a trial of ``hrfs`` may be ahead of the least advanced one; null: any."""


@dataclass
class NodeAllocationConfig:
    """How one node is cut into workers; 0 means no worker of that kind."""

    cpus_per_worker: int = 0
    """CPUs of each worker without a GPU; made of the CPUs that workers with GPUs leave."""
    gpus_per_worker: float = 0.0
    """GPUs of each worker that has any; 0.5 puts two workers on each."""
    cpus_per_gpu_worker: int = 1
    """CPUs beside them."""


@dataclass
class EmulatedWorkerConfig:
    """One logical worker on this machine."""

    name: str = MISSING
    """How it is called in every output."""
    kind: str = "cpu"
    """``cpu``, ``gpu`` or ``gpu:<model>``; it is only called so."""
    slowdown: float = 1.0
    """Factor, at least 1, by which each iteration is stretched."""
    threads: int = 1
    """Number of PyTorch threads."""


@dataclass
class ClusterConfig:
    """Where a run trains (group ``cluster``)."""

    mode: str = MISSING
    """``local`` (this machine), ``emulated`` or ``address`` (a Ray cluster that runs already)."""
    address: str | None = None
    """Host and port of the head node; for ``mode: address`` alone."""
    allocation: Any = "auto"
    """``auto``, or a mapping from host name, IP address or ``default`` to an allocation."""
    emulated: list[EmulatedWorkerConfig] = field(default_factory=list)
    """The workers; for ``mode: emulated`` alone."""
    reserved_cpus: int = 1
    """CPUs of this machine kept for the driver, where there are more."""
    answer_within_s: float = 10.0
    """Seconds after which an address that does not answer is given up."""
    wait_s: float = 600.0
    """Seconds without any worker after which the run gives up."""
    hung_after: float | None = 5.0
    """A slice is abandoned after this multiple of the time predicted for it; null: never."""
    hung_least_s: float = 60.0
    """But not before so many seconds. A worker that hung stays out for as long at first."""
    hung_unknown_s: float = 3600.0
    """The limit where no time can be predicted, and for the start of a worker's process."""
    pin_cores: Any = "auto"
    """``true``: each worker keeps to cores of its own; ``auto``: where there are enough; ``false``.
    """
    dashboard: bool = False
    """Whether Ray's dashboard is started, on this machine alone."""


@dataclass
class PopulationConfig:
    """How many trials, how far, and how they are varied (group ``population``)."""

    size: int = MISSING
    """Number of trials."""
    stop_iterations: int = MISSING
    """Iterations after which a trial is done."""
    interval_iterations: int = MISSING
    """Iterations between two chances to exploit and explore."""
    target_score: float | None = None
    """The score whose time is told; ``hrfs_paper`` stops its slow workers there."""
    stop_on_target: bool = False
    """Whether the run ends once a trial has reached it."""
    metric: str = "val/acc"
    """What trials are compared by: a name that the network logs in ``validation_step``."""
    mode: str = "max"
    """``max`` or ``min``: which end of the metric is good."""
    quantile: float = 0.25
    """Share of the trials, at either end, that take over weights or give them."""
    resample_probability: float = 0.25
    """How often exploring draws a value anew instead of moving it."""
    search_space: dict[str, list[Any]] = field(default_factory=dict)
    """First values: ``[kind, low, high]`` (uniform, loguniform or int) or ``[choice, a, b]``."""
    mutations: dict[str, list[Any]] = field(default_factory=dict)
    """Which of them training may change, and the range to which they are clipped."""


@dataclass
class ReportConfig:
    """What the console shows (group ``report``)."""

    every_s: float = 300.0
    """Seconds between two tables where the screen cannot be refreshed in place."""
    console: str = "auto"
    """``live``, ``plain``, ``quiet``, or ``auto``: live on a terminal, else plain."""


@dataclass
class HrfsConfig:
    """The whole configuration.

    ``model``, ``dataset`` and ``trainer`` stay open, for users bring their own keys; these are
    the arguments of whatever ``_target_`` names.
    """

    seed: int = 0
    """What everything that is drawn at random follows from."""
    seeds: list[int] | None = None
    """One population for each, in one run; null: one, of ``seed``."""
    max_failures: int = 3
    """Slices of one trial that may end in an exception before it is given up."""
    logger: list[str] = field(default_factory=list)
    """Lightning's loggers to use as well: ``csv``, ``tensorboard``, ``wandb``, ``mlflow``."""
    schedule: str | None = None
    """File with a winner's hyperparameters over time, for ``scheduler=replay`` alone."""
    allowed_targets: list[str] = field(default_factory=list)
    """Packages of yours that ``_target_`` may name, e.g. ``[my_package.]``."""
    model: dict[str, Any] = field(default_factory=dict)
    """The network and the optimizer: ``_target_`` and the arguments of its constructor."""
    dataset: dict[str, Any] = field(default_factory=dict)
    """The images: ``_target_`` and the arguments of its constructor."""
    trainer: dict[str, Any] = field(default_factory=dict)
    """How slices are trained."""
    population: PopulationConfig = field(default_factory=PopulationConfig)
    """See the group ``population``."""
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    """See the group ``scheduler``."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """See the group ``cluster``."""
    report: ReportConfig = field(default_factory=ReportConfig)
    """See the group ``report``."""


def register() -> None:
    """Make the schema known to Hydra; may be called more than once."""
    ConfigStore.instance().store(name=SCHEMA_NAME, node=HrfsConfig, provider="hrfs")
