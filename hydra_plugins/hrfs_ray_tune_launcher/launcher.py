"""Hydra's side of the launcher. Imports neither Ray nor torch: every Hydra program loads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.hrfs_ray_tune_launcher import config as _config  # noqa: F401 - registers keys


class RayTuneLauncher(Launcher):
    """Runs the jobs of a multirun as trials of one Ray Tune experiment.

    ``params`` are the keys of ``hydra.launcher``, see
    :class:`~hydra_plugins.hrfs_ray_tune_launcher.config.RayTuneLauncherConf`.
    """

    def __init__(self, **params: Any) -> None:
        super().__init__()
        self.params = params
        self.config: DictConfig | None = None
        self.task_function: TaskFunction | None = None
        self.hydra_context: HydraContext | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over; called once before any :meth:`launch`.

        Raises:
            hydra.errors.HydraException: ``resume`` is asked for where there is nothing to resume.
        """
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config
        if self.params.get("resume"):  # before the sweeper makes the folder and writes into it
            from hydra_plugins.hrfs_ray_tune_launcher._resume import check_before_sweep

            check_before_sweep(config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run one job per list of overrides; results in that order, numbered from the index.

        Raises:
            hydra.errors.HydraException: something the user can mend, in one line.
        """
        from hydra_plugins.hrfs_ray_tune_launcher import _core

        return _core.launch(self, job_overrides, initial_job_idx)
