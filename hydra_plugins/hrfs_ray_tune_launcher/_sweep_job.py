"""One job of a sweep as it would be run, before anyone decides whether it is."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from hydra_plugins.hrfs_ray_tune_launcher._records import JobRecord, started


@dataclass(frozen=True)
class SweepJob:
    """Its number, its task's overrides, its own configuration (with ``hydra``), and its folder.

    ``folder`` is absolute; in ``output_subdir`` of it Hydra keeps its own record, if not None.
    """

    num: int
    overrides: tuple[str, ...]
    config: DictConfig
    folder: Path
    output_subdir: str | None

    @classmethod
    def of(cls, config: DictConfig) -> SweepJob:
        """From the configuration of a job whose ``hydra.job.num`` is set."""
        holder = HydraConfig.instance()
        before = holder.cfg
        holder.set_config(config)  # a folder may be named by ${hydra:job.num}
        try:
            hydra = config.hydra
            folder = os.path.abspath(Path(str(hydra.sweep.dir), str(hydra.sweep.subdir)))  # noqa: PTH100
            return cls(
                num=int(hydra.job.num),
                overrides=tuple(str(text) for text in hydra.overrides.task),
                config=config,
                folder=Path(folder),  # links are kept as they are, as Hydra does
                output_subdir=hydra.output_subdir,
            )
        finally:
            holder.cfg = before

    @property
    def program(self) -> str:
        """The name of the program whose job this is."""
        return str(self.config.hydra.job.name)

    def record(self) -> JobRecord:
        """Its record as it is about to run."""
        return started(self.program, self.num, self.overrides, self.config)

    @cached_property
    def wanted(self) -> JobRecord:
        """As :meth:`record`, made once, to compare records with; configurations may be large."""
        return self.record()

    def task_config(self) -> DictConfig:
        """What the task function is given: the configuration without ``hydra``."""
        task = copy.deepcopy(self.config)
        with read_write(task), open_dict(task):
            del task["hydra"]
        return task
