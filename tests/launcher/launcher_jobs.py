"""Jobs of a sweep as the launcher has them, composed by Hydra from a small configuration."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, open_dict

from hydra_plugins.hrfs_ray_tune_launcher._records import write_record
from hydra_plugins.hrfs_ray_tune_launcher._sweep_job import SweepJob

Plugins.instance()  # looked for once, and not within the time of the first test

CONFIG = """
lr: 0.1
optimizer: {name: sgd, momentum: 0.9, nesterov: false}
layers: [16, 8]
started: ${now:%H-%M-%S-%f}
folder: ${hydra:runtime.output_dir}
label: run-${hydra:job.num}
twice: ${lr}
"""


class Sweep:
    """A program's sweep in ``folder``, whose jobs can be made and recorded by their number."""

    def __init__(self, folder: Path, program: str = "my_app", extra: str = "") -> None:
        self.sweep_dir = folder / "sweep"
        self.program = program
        self.extra = extra

    def job(self, num: int, *overrides: str) -> SweepJob:
        """Job ``num``; overrides may be of ``hydra`` too."""
        config = copy.deepcopy(_composed(CONFIG + self.extra, overrides))
        with open_dict(config):
            config.hydra.sweep.dir = str(self.sweep_dir)
            config.hydra.job.name = self.program
            config.hydra.job.num = num
            config.hydra.job.id = str(num)
        return SweepJob.of(config)

    def jobs(self, overrides: Sequence[Sequence[str]], first: int = 0) -> list[SweepJob]:
        """One job for each list of overrides, numbered from ``first``."""
        return [self.job(first + index, *own) for index, own in enumerate(overrides)]


@functools.cache  # a composition takes a quarter of a second on a busy machine
def _composed(text: str, overrides: tuple[str, ...]) -> DictConfig:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(text)
        with initialize_config_dir(folder, version_base="1.3"):
            return compose("config", list(overrides), return_hydra_config=True)


def complete(job: SweepJob, value: object = None) -> None:
    """Leave the record of a job that returned ``value``."""
    write_record(job.folder, job.record().ended("COMPLETED", value), job.output_subdir)


def fail(job: SweepJob, reason: str) -> None:
    """Leave the record of a job that failed."""
    write_record(job.folder, job.record().ended("FAILED", reason=reason), job.output_subdir)
