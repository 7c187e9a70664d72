"""Entry point: Hydra composes, we check, the cluster runs.

Nothing here imports Ray, torch or Lightning before a checked experiment starts, so that help,
completion and complaints come at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hrfs.cli import schema
from hrfs.cli.arguments import for_hydra, own_config_dirs, split
from hrfs.cli.errors import explain, explain_files
from hrfs.cli.help import help_text, wants_help
from hrfs.cli.job import run_job
from hrfs.cli.paths import config_dir, config_groups
from hrfs.experiment.errors import EXIT_BAD_INPUT, ConfigError
from hrfs.experiment.launch import Status

EXIT_CODES: dict[Status, int] = {"finished": 0, "gave up": 1, "interrupted": 130}
FULL_ERRORS = "HYDRA_FULL_ERROR"


class Task:
    """What Hydra calls with each composed configuration; remembers how it ended.

    ``hydra.main`` returns nothing, hence the memory. In a sweep a fault is raised instead, for
    then the sweeper decides what to do about a failed job.
    """

    def __init__(self) -> None:
        self.entered = False
        self.fault: Exception | None = None
        self.status: Status = "finished"

    def run(self, cfg: DictConfig) -> float | None:
        """Run one job and return its best score, which is what sweepers optimise."""
        self.entered = True
        logging.captureWarnings(True)  # into hrfs.log, which Hydra has opened by now
        sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
        try:
            outcome = run_job(cfg)
        except (ConfigError, OmegaConfBaseException) as error:
            if sweeping:
                raise
            self.fault = error  # raised here, Hydra would print a line of its own before ours
            return None
        if sweeping and outcome.status == "interrupted":
            raise KeyboardInterrupt  # or the sweep would go on with its next job
        if self.status == "finished":  # of a sweep's jobs the first that did not finish counts
            self.status = outcome.status
        return outcome.best_score


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (``sys.argv`` by default) and exit.

    Exit codes: 0 finished, 1 given up or an unexpected error (with its traceback), 2 input
    that must be mended (one line on standard error), 130 interrupted.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    options, _ = split(typed)
    if wants_help(options):
        print(help_text(own_config_dirs(options)), end="")
        return
    try:
        status = compose_and_run(for_hydra(typed))
    except ConfigError as fault:
        print(f"hrfs: {fault}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(EXIT_CODES["interrupted"])
    sys.exit(EXIT_CODES[status])


def compose_and_run(arguments: Sequence[str]) -> Status:
    """Let Hydra compose ``arguments`` and run what they ask for.

    Raises:
        ConfigError: anything that the user can mend.
    """
    schema.register()
    task = Task()

    def task_function(cfg: DictConfig) -> float | None:
        return task.run(cfg)

    entry = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
    try:
        with _arguments_for_hydra(arguments):
            entry(task_function)()
    except Exception as error:
        _raise_explained(error, arguments, before_start=not task.entered)
    if task.fault is not None:
        _raise_explained(task.fault, arguments, before_start=False)
    return task.status


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
