"""Hydra composes, we check, the cluster runs.

Nothing here imports Ray, torch or Lightning before a checked experiment starts, so that
completion and complaints come at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hrfs.cli import nested, schema
from hrfs.cli.errors import explain, explain_files
from hrfs.cli.job import run_job
from hrfs.cli.paths import config_dir, config_groups
from hrfs.cli.sweep import Sweep, refuse_repeats, watching
from hrfs.experiment.errors import EXIT_INTERRUPTED, ConfigError
from hrfs.experiment.launch import Status

EXIT_CODES: dict[Status, int] = {
    "finished": 0,
    "gave up": 1,
    "interrupted": EXIT_INTERRUPTED,
}
FULL_ERRORS = "HYDRA_FULL_ERROR"


class Task:
    """What Hydra calls with each composed configuration; remembers how a single run ended.

    ``hydra.main`` returns nothing, hence the memory. A job of a sweep may run in a process of
    its own, so nothing is asked of it but its files: a fault is written down in its folder and
    raised, for then the sweeper decides what to do about it.
    """

    def __init__(self) -> None:
        self.entered = False
        self.fault: Exception | None = None
        self.status: Status = "finished"

    def run(self, cfg: DictConfig) -> float | None:
        """Run one job and return its best score, which is what sweepers optimise."""
        self.entered = True
        logging.captureWarnings(True)  # into hrfs.log, which Hydra has opened by now
        hydra_config = HydraConfig.get()
        if hydra_config.mode == RunMode.MULTIRUN:
            return sweep_job(cfg, Path(hydra_config.runtime.output_dir))
        try:
            outcome = run_job(cfg)
        except (ConfigError, OmegaConfBaseException) as error:
            self.fault = error  # raised here, Hydra would print a line of its own before ours
            return None
        self.status = outcome.status
        return outcome.best_score


def sweep_job(cfg: DictConfig, folder: Path) -> float | None:
    """Run one job of a sweep; if it raises, word of that is left in its ``folder``.

    Raises:
        KeyboardInterrupt: the run was interrupted, and the sweep is not to go on.
        Exception: whatever ended the job.
    """
    from hrfs.cli.sweep_retry import only_job_in
    from hrfs.reporting.runs_files import write_failure

    with only_job_in(folder):
        try:
            outcome = run_job(cfg)
        except Exception as error:
            try:
                write_failure(folder, error)
            except OSError as fault:  # not to stand before the error that ended the job
                logging.getLogger("hrfs").warning("%s cannot be written: %s", folder, fault)
            raise
    if outcome.status == "interrupted":
        raise KeyboardInterrupt
    return outcome.best_score


def compose_and_run(arguments: Sequence[str]) -> int:
    """Let Hydra compose ``arguments`` and run what they ask for; gives the exit code.

    Raises:
        ConfigError: anything that the user can mend, before anything ran.
    """
    schema.register()
    nested.register()
    refuse_repeats(arguments)
    task = Task()

    def task_function(cfg: DictConfig) -> float | None:
        return task.run(cfg)

    entry = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
    with watching() as sweep:
        try:
            with _arguments_for_hydra(arguments):
                entry(task_function)()
        except KeyboardInterrupt:
            if sweep.anything_ran():
                told = f"python -m hrfs.summary {sweep.folder} sums up what has finished"
                print(f"hrfs: interrupted; {told}", file=sys.stderr)
            raise
        except Exception as error:
            if sweep.folder is not None:
                return _failed_sweep(error, arguments, sweep)
            _raise_explained(error, arguments, before_start=not task.entered)
    if sweep.folder is not None:
        from hrfs.cli.sweep_end import conclude

        return conclude(sweep)
    if task.fault is not None:
        _raise_explained(task.fault, arguments, before_start=False)
    return EXIT_CODES[task.status]


def _failed_sweep(error: Exception, arguments: Sequence[str], sweep: Sweep) -> int:
    """The figures of the other jobs, then the ``error``: bad input alone if nothing ran."""
    from hrfs.cli.sweep_end import conclude

    fault = explain(error, arguments, config_groups())
    began = bool(sweep.job_folders())
    if not began or (fault is not None and not sweep.anything_ran()):
        _raise_explained(error, arguments, before_start=not began)
    conclude(sweep)
    if fault is None:
        raise error
    print(f"hrfs: {fault}", file=sys.stderr)
    return EXIT_CODES["gave up"]


def _raise_explained(error: Exception, arguments: Sequence[str], before_start: bool) -> NoReturn:
    fault = explain(error, arguments, config_groups())
    if fault is None and before_start:
        fault = explain_files(error)
    if fault is None:
        raise error
    raise fault from error


@contextmanager
def _arguments_for_hydra(arguments: Sequence[str]) -> Iterator[None]:
    """Hydra reads ``sys.argv``, and hands exceptions on only if it is told to.

    The program's name is set to that of the console script, which is what the shell completion
    that Hydra prints is for.
    """
    before, told = sys.argv, os.environ.get(FULL_ERRORS)
    sys.argv = ["hrfs", *arguments]
    os.environ[FULL_ERRORS] = "1"
    try:
        yield
    finally:
        sys.argv = before
        if told is None:
            del os.environ[FULL_ERRORS]
        else:
            os.environ[FULL_ERRORS] = told
