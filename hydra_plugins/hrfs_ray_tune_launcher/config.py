"""The launcher's keys, for Hydra's ConfigStore. Imports neither Ray nor torch."""

# Hydra runs this file before it is in sys.modules, where dataclasses would look names up if the
# annotations were strings: no "from __future__ import annotations" here.
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore


@dataclass
class ResourcesConf:
    """What one job holds while it runs; each value may be an interpolation such as ${n_cpu}."""

    cpu: float = 1.0
    gpu: float = 0.0
    custom: dict[str, float] = field(default_factory=dict)


def _init_defaults() -> dict[str, Any]:
    return {
        "address": None,
        "num_cpus": None,
        "num_gpus": None,
        "resources": None,
        "object_store_memory": None,
        "include_dashboard": False,
        "runtime_env": None,
        "token_file": None,
    }


@dataclass
class RayTuneLauncherConf:
    """Keys of ``hydra.launcher``."""

    _target_: str = "hydra_plugins.hrfs_ray_tune_launcher.launcher.RayTuneLauncher"
    # What a job holds; resolved for each job against the job's own configuration.
    resources: ResourcesConf = field(default_factory=ResourcesConf)
    # Jobs that run at once; null: as many as fit.
    max_concurrent: int | None = None
    # How often a job is tried again whose process died (SIGKILL, memory, a lost node).
    max_failures: int = 0
    # Whether a task that raises is tried again too, up to max_failures times.
    retry_exceptions: bool = False
    # Whether a process serves one job after another. A new one costs seconds per job.
    reuse_processes: bool = True
    # Arguments of ray.init; null: Ray's default. address null: a cluster of our own here.
    init: dict[str, Any] = field(default_factory=_init_defaults)
    # Whether jobs of this sweep directory that have completed are left as they are.
    resume: bool = False


def register() -> None:
    """Make ``hydra/launcher=ray_tune`` known."""
    ConfigStore.instance().store(
        group="hydra/launcher",
        name="ray_tune",
        node=RayTuneLauncherConf,
        provider="hrfs_ray_tune_launcher",
    )


register()
