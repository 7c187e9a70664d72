"""``hydra/launcher=ray_tune`` as it suits our jobs, each of which is a Ray Tune experiment itself.

A job that held CPUs while it waits for its own workers would starve them: it holds none, jobs run
one at a time, and the launcher's Ray is the cluster that the jobs' configuration asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from hrfs.experiment.cluster import EmulatedWorker
from hrfs.tuning.allocation import emulated_resources
from hydra_plugins.hrfs_ray_tune_launcher.config import RayTuneLauncherConf, ResourcesConf

RESOLVER = "hrfs_ray"
OBJECT_STORE_BYTES = 200 * 2**20


def register() -> None:
    """Replace the launcher's defaults by ours, and register what they refer to."""
    Plugins.instance()  # or the launcher, found later, would register its own again
    OmegaConf.register_new_resolver(RESOLVER, _argument, replace=True)
    ConfigStore.instance().store(
        group="hydra/launcher",
        name="ray_tune",
        node=RayTuneLauncherConf(
            resources=ResourcesConf(cpu=0),
            max_concurrent=1,
            init={name: f"${{{RESOLVER}:{name}}}" for name in ARGUMENTS}
            | {"runtime_env": None, "token_file": None},
        ),
        provider="hrfs",
    )


def _argument(name: str, *, _root_: DictConfig) -> Any:
    """The argument ``name`` of ray.init for the cluster of the configuration; None: as Ray has it.

    Looked up in each job's own configuration, so that a sweep may go over ``cluster``.
    """
    return ARGUMENTS[name](_root_.cluster)


def _address(cluster: DictConfig) -> str | None:
    return cluster.address if cluster.mode == "address" else None


def _emulated(cluster: DictConfig) -> dict[str, float]:
    if cluster.mode != "emulated":
        return {}
    return emulated_resources([EmulatedWorker(**worker) for worker in cluster.emulated])


def _num_cpus(cluster: DictConfig) -> float | None:
    return _emulated(cluster).get("CPU")


def _num_gpus(cluster: DictConfig) -> int | None:
    return 0 if cluster.mode == "emulated" else None


def _resources(cluster: DictConfig) -> dict[str, float] | None:
    return {name: n for name, n in _emulated(cluster).items() if name != "CPU"} or None


def _object_store_memory(cluster: DictConfig) -> int | None:
    """Trials' states go through the storage, not through Ray's object store."""
    return None if cluster.mode == "address" else OBJECT_STORE_BYTES


def _include_dashboard(cluster: DictConfig) -> bool:
    return bool(cluster.dashboard)


ARGUMENTS: dict[str, Callable[[DictConfig], Any]] = {
    "address": _address,
    "num_cpus": _num_cpus,
    "num_gpus": _num_gpus,
    "resources": _resources,
    "object_store_memory": _object_store_memory,
    "include_dashboard": _include_dashboard,
}
