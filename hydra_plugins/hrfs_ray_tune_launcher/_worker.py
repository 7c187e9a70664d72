"""One job in the process of a trial: Hydra's state, the task, and everything put back after."""

from __future__ import annotations

import functools
import logging
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.hrfs_ray_tune_launcher._outcome import Ended, TaskExited, pack, pack_error
from hydra_plugins.hrfs_ray_tune_launcher._output import output_to
from hydra_plugins.hrfs_ray_tune_launcher._records import JobRecord, write_record


@dataclass(frozen=True)
class Shared:
    """What all jobs of a launch have in common."""

    hydra_context: HydraContext
    task_function: TaskFunction
    singletons: Any
    """State of Hydra's singletons and of OmegaConf's resolvers on the driver."""
    cwd: str


@dataclass(frozen=True)
class Parcel:
    """One job as it travels to its process."""

    config: DictConfig
    folder: str
    output_subdir: str | None
    record: JobRecord


def run(shared: bytes, parcel: bytes) -> Ended:
    """Run a job, write its record, and pack whatever comes of it; raises nothing of the task's."""
    try:
        common: Shared = pickle.loads(shared)
        job: Parcel = pickle.loads(parcel)
        write_record(Path(job.folder), job.record, job.output_subdir)
        ended = pack(_run(common, job))
        write_record(Path(job.folder), ended.record(job.record), job.output_subdir)
    except Exception as error:
        return pack_error(error)
    return ended


def _run(common: Shared, job: Parcel) -> JobReturn:
    setup_globals()
    _set_singletons(common.singletons)
    with restored_process(), output_to(Path(job.folder)):
        os.chdir(common.cwd)
        return run_job(
            hydra_context=common.hydra_context,
            task_function=guard(common.task_function),
            config=job.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def _set_singletons(state: Any) -> None:
    """The driver's singletons; this process looks for plugins once, not for every job."""
    state["instances"][Plugins] = Plugins.instance()
    Singleton.set_state(state)


def guard(task: TaskFunction) -> TaskFunction:
    """The task, whose sys.exit or KeyboardInterrupt becomes an exception like any other.

    Ray takes the first for the end of the process and the second for the end of everything.
    """

    @functools.wraps(task, updated=())
    def call_task(cfg: DictConfig) -> Any:
        try:
            return task(cfg)
        except SystemExit as error:
            raise TaskExited(f"the task called sys.exit({error.code!r})") from error
        except KeyboardInterrupt as error:
            raise TaskExited("the task was interrupted") from error

    return call_task


@contextmanager
def restored_process() -> Iterator[None]:
    """Put back what a job may have changed that the next one in this process would see."""
    folder, environment = Path.cwd(), dict(os.environ)
    path, arguments = list(sys.path), list(sys.argv)
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    try:
        yield
    finally:
        os.chdir(folder)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        sys.path[:], sys.argv[:] = path, arguments
        _restore_logging(handlers, level)


def _restore_logging(handlers: list[logging.Handler], level: int) -> None:
    """Close the job's own log files; the rest of the process logs as before."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
