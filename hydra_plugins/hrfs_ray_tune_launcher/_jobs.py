"""A multirun's jobs as composed on the driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from hydra_plugins.hrfs_ray_tune_launcher._resume import SweepJob

if TYPE_CHECKING:
    from hydra.types import HydraContext


def compose_jobs(
    context: HydraContext,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_idx: int,
) -> list[SweepJob]:
    """Compose every job, numbered from ``initial_job_idx``."""
    return [
        _compose(context, config, list(overrides), initial_job_idx + index)
        for index, overrides in enumerate(job_overrides)
    ]


def _compose(
    context: HydraContext, config: DictConfig, overrides: list[str], number: int
) -> SweepJob:
    composed = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(composed):
        composed.hydra.job.id = str(number)
        composed.hydra.job.num = number
    return SweepJob.of(composed)


@contextmanager
def hydra_config(config: DictConfig) -> Iterator[None]:
    """``${hydra:...}`` refers to ``config`` meanwhile."""
    holder = HydraConfig.instance()
    before = holder.cfg
    holder.set_config(config)
    try:
        yield
    finally:
        holder.cfg = before
