"""Lightning's loggers, chosen by name: each keeps a run of its own for every trial.

They run in the driver, which is told of every slice wherever it was trained. So the run of a trial
goes on while the trial moves between workers, workers need no access to a tracking server, and
slices take no longer. What a slice logged is written at its end, at the trial's iteration.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord, WorkerInfo

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

PROJECT = "hrfs"
"""Project of wandb and experiment of MLflow; one run of hrfs is a group within it."""


def _csv(folder: Path, trial: str) -> Logger:
    from pytorch_lightning.loggers import CSVLogger

    return CSVLogger(folder, name=trial)


def _tensorboard(folder: Path, trial: str) -> Logger:
    from pytorch_lightning.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name=trial, default_hp_metric=False)


def _wandb(folder: Path, trial: str) -> Logger:
    from pytorch_lightning.loggers import WandbLogger

    folder.mkdir(parents=True, exist_ok=True)
    run = import_module("wandb").init(  # Lightning's own would give all trials the first one's run
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        group=_run_name(folder),
        name=trial,
        dir=folder,
        reinit="create_new",
        settings={"silent": True, "console": "off"},  # the console belongs to the report
    )
    return WandbLogger(experiment=run)


def _mlflow(folder: Path, trial: str) -> Logger:
    from pytorch_lightning.loggers import MLFlowLogger

    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it has a handler of its own
    return MLFlowLogger(
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT),
        run_name=f"{_run_name(folder)} {trial}",
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db"),
        tags={"hrfs.run": _run_name(folder), "hrfs.trial": trial},
    )


LOGGERS: Mapping[str, Callable[[Path, str], Logger]] = {
    "csv": _csv,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
"""Makes the logger of one trial, given its folder and the name of the trial."""


def _run_name(folder: Path) -> str:
    """Date and time of the run, as in its folder: ``outputs/<date>/<time>/loggers/<kind>``."""
    return "/".join(folder.parts[-4:-2])


class TrialLoggers(Observer):
    """Tells loggers of every slice that ends."""

    def __init__(self, names: Sequence[str], folder: Path, warn: Callable[[str], None]) -> None:
        """
        Args:
            names: of :data:`LOGGERS`.
            folder: made if missing; each logger gets a folder in it, by its name.
            warn: told, once for each, of a logger that fails under way and is given up.
        """
        self._names = tuple(names)
        self._folder = folder.resolve()
        self._warn = warn
        self._loggers: dict[str, dict[int, Logger]] = {}
        self._seen: set[int] = set()
        self._ended: set[int] = set()
        self._labels: Mapping[str, Any] = {}

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        """Open the run of every trial.

        Raises:
            ConfigError: a logger cannot be started (no access to its server, say).
        """
        self._labels = plan.labels  # which say, for one, that a cluster is emulated
        several = len(plan.seeds) > 1
        for name in self._names:
            opened = self._loggers[name] = {}
            for trial in range(plan.trials):
                seed = plan.populations.identity(trial)[0]
                run = f"seed_{seed}/trial_{trial:02d}" if several else f"trial_{trial:02d}"
                opened[trial] = self._open(name, run)

    def _open(self, name: str, run: str) -> Logger:
        try:
            logger: Any = LOGGERS[name](self._folder / name, run)
            assert logger.experiment is not None  # which opens it
            return logger
        except Exception as error:  # whatever its library raises
            rule = f"cannot be started: {type(error).__name__}: {error}"
            raise ConfigError("logger", name, rule, "leave it out, or mend its settings") from error

    def on_slice(self, record: SliceRecord) -> None:
        """Log metrics and hyperparameters of the slice at the trial's iteration."""
        values = record.hyperparameters
        numbers = {f"hp/{name}": value for name, value in values.items() if _is_number(value)}
        measured = {**record.metrics, **numbers, "slice_s": record.duration_s}
        first = record.trial not in self._seen
        self._seen.add(record.trial)

        def tell(logger: Logger) -> None:
            if first:
                logger.log_hyperparams({**self._labels, **values})
            logger.log_metrics(measured, step=record.to_iteration)
            logger.save()

        for name in tuple(self._loggers):
            self._attempt(name, record.trial, tell)

    def on_trial_end(self, time_s: float, trial: int, reason: str) -> None:
        self._ended.add(trial)

    def on_end(self, time_s: float) -> None:
        """Close all runs; those of trials that were cut off as failed."""
        for name in tuple(self._loggers):
            for trial in tuple(self._loggers[name]):
                self._attempt(name, trial, _finished if trial in self._ended else _cut_off)
        self._loggers.clear()

    def _attempt(self, name: str, trial: int, work: Callable[[Logger], None]) -> None:
        """Do it, or give the logger up with a warning: training goes on without it."""
        if name not in self._loggers:
            return
        try:
            work(self._loggers[name][trial])
        except Exception as error:  # whatever its library raises
            del self._loggers[name]
            told = " ".join(f"{type(error).__name__}: {error}".split())
            self._warn(f"logger={name} is given up: {told}")


def _finished(logger: Logger) -> None:
    _close(logger, "success", exit_code=0)


def _cut_off(logger: Logger) -> None:
    _close(logger, "failed", exit_code=1)


def _close(logger: Logger, status: str, exit_code: int) -> None:
    from pytorch_lightning.loggers import WandbLogger

    logger.finalize(status)
    if isinstance(logger, WandbLogger):
        logger.experiment.finish(exit_code)  # Lightning leaves that to the end of the process


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
