"""What each job asks for and what Ray is started with, read from the composed configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf

from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError
from hydra_plugins.hrfs_ray_tune_launcher._jobs import hydra_config
from hydra_plugins.hrfs_ray_tune_launcher._resume import SweepJob

KEY = "hydra.launcher"
HEAD_NODE = "node:__internal_head__"
"""Ray's own resource of the head node, of which there is one."""
TRACE_OF_HEAD = 0.001
COUNTED = ("num_cpus", "num_gpus", "object_store_memory")
"""Arguments of ray.init of which the largest that any job names is taken."""


@dataclass(frozen=True)
class Resources:
    """What one job holds while it runs."""

    cpu: float = 1.0
    gpu: float = 0.0
    custom: Mapping[str, float] = field(default_factory=dict)

    def bundle(self) -> dict[str, float]:
        """In Ray's words. A job that holds nothing runs on the head node.

        Ray refuses an empty bundle, and a trace of a CPU would keep jobs that use Ray
        themselves from all of them.
        """
        wanted = {"CPU": self.cpu, "GPU": self.gpu, **self.custom}
        return {name: n for name, n in wanted.items() if n} or {HEAD_NODE: TRACE_OF_HEAD}


def job_resources(job: SweepJob) -> Resources:
    """The job's own ``resources``, interpolations resolved against its configuration.

    Raises:
        omegaconf.errors.OmegaConfBaseException: a value is of the wrong type or missing.
    """
    with hydra_config(job.config):
        node = job.config.hydra.launcher.resources
        # Reading the fields, not the container, converts what an interpolation gives.
        custom = {str(name): float(node.custom[name]) for name in node.custom}
        return Resources(float(node.cpu), float(node.gpu), custom)


def init_arguments(jobs: Sequence[SweepJob]) -> dict[str, Any]:
    """Arguments of ``ray.init`` that suit all jobs; what is null is left out.

    Of counts and resources the largest that any job names is taken, so that they may depend
    on the job; anything else must be the same for all, since they share one cluster.

    Raises:
        LauncherError: two jobs want different clusters.
    """
    agreed: dict[str, Any] = {}
    for job in jobs:
        for name, value in _resolved_init(job).items():
            if value is None:
                continue
            agreed[name] = _join(name, agreed[name], value) if name in agreed else value
    return agreed


def _resolved_init(job: SweepJob) -> dict[str, Any]:
    with hydra_config(job.config):
        plain = OmegaConf.to_container(job.config.hydra.launcher.init, resolve=True)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def _join(name: str, one: Any, other: Any) -> Any:
    if one == other:
        return one
    if name in COUNTED:
        return max(one, other)
    if name == "resources":
        return {key: max(one.get(key, 0), other.get(key, 0)) for key in {**one, **other}}
    rule = f"another job wants {other}, but all jobs of a sweep share one cluster"
    raise LauncherError(f"{KEY}.init.{name}", one, rule, "run them as two sweeps")
