"""What a job's process sends back, in pieces that fail to travel one by one.

A return value that cannot be pickled, or an exception that cannot be unpickled, must not cost
the rest: each travels as bytes of its own, and a stand-in takes its place.
"""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from hydra_plugins.hrfs_ray_tune_launcher._records import JobRecord
from hydra_plugins.hrfs_ray_tune_launcher._resume import SweepJob


class JobFailed(RuntimeError):  # noqa: N818 - what has become of a job
    """A job that ended without an exception of its own: its process died, it exited, ..."""


class TaskExited(JobFailed):
    """The task ended by an exception that would have ended the program, as sys.exit does."""


class TaskError(RuntimeError):
    """Stands for a task's exception that cannot travel between processes."""


class JobTraceback(Exception):  # noqa: N818 - it is the cause of an error, not one itself
    """Cause of an exception that was raised in another process: its traceback there."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f"\n{self.text}"


@dataclass(frozen=True)
class Outcome:
    """A job's end as it travels. ``job_return`` lacks the value, which is ``value``, pickled."""

    job_return: JobReturn | None
    value: bytes
    traceback: str = ""


@dataclass(frozen=True)
class Ended:
    """A job that has come to its end in its process: the outcome in bytes, and what it is."""

    completed: bool
    outcome: bytes
    value: Any = None
    reason: str = ""

    def record(self, started: JobRecord) -> JobRecord:
        """The job's record now that it has ended."""
        if self.completed:
            return started.ended("COMPLETED", self.value)
        return started.ended("FAILED", reason=self.reason)


def pack(job_return: JobReturn) -> Ended:
    """The end of a job that ``run_job`` has brought to its end.

    A return value that cannot be pickled makes the job FAILED.
    """
    value = job_return._return_value
    bare = replace(job_return, _return_value=None)
    if job_return.status == JobStatus.COMPLETED:
        try:
            return Ended(True, cloudpickle.dumps(Outcome(bare, cloudpickle.dumps(value))), value)
        except Exception as fault:
            value, bare = _unpicklable(value, fault), replace(bare, status=JobStatus.FAILED)
    outcome = Outcome(bare, pickle_error(value), own_traceback(value))
    return Ended(False, cloudpickle.dumps(outcome), reason=describe(value))


def pack_error(error: BaseException) -> Ended:
    """The end of a job that did not get as far as its task."""
    outcome = Outcome(None, pickle_error(error), own_traceback(error))
    return Ended(False, cloudpickle.dumps(outcome), reason=describe(error))


def pickle_error(error: BaseException) -> bytes:
    """The exception in bytes, or a stand-in if it does not survive the way there and back."""
    try:
        pickled = cloudpickle.dumps(error)
        if type(pickle.loads(pickled)) is type(error):
            return pickled
    except Exception as fault:
        stand_in = TaskError(f"{type(error).__name__}: {error} (it can't be pickled: {fault})")
        return cloudpickle.dumps(stand_in)
    return cloudpickle.dumps(TaskError(f"{type(error).__name__}: {error}"))


def unpack(job: SweepJob, blob: bytes) -> JobReturn:
    """The driver's side of :func:`pack`; whatever cannot be read makes the job FAILED."""
    try:
        outcome: Outcome = pickle.loads(blob)
        value = pickle.loads(outcome.value)
    except Exception as fault:
        return failed(job, JobFailed(f"job {job.num}: its result can't be unpickled: {fault}"))
    if outcome.job_return is None:
        return failed(job, _with_traceback(value, outcome.traceback))
    result = outcome.job_return
    if result.status != JobStatus.COMPLETED:
        value = _with_traceback(value, outcome.traceback)
    result.return_value = value
    return result


def failed(job: SweepJob, error: BaseException) -> JobReturn:
    """A FAILED result for a job whose process did not live to make one."""
    result = JobReturn(
        overrides=list(job.overrides),
        cfg=job.task_config(),
        hydra_cfg=OmegaConf.masked_copy(job.config, "hydra"),
        working_dir=str(job.folder),
        task_name=str(job.config.hydra.job.name),
        status=JobStatus.FAILED,
    )
    result.return_value = error
    return result


def own_traceback(error: BaseException) -> str:
    """The traceback from the task function on, without the frames that led there."""
    tb = error.__traceback__
    frames = []
    while tb is not None:
        frames.append(tb)
        tb = tb.tb_next
    names = [frame.tb_frame.f_code.co_name for frame in frames]
    start = names.index("run_job") + 1 if "run_job" in names else 0
    if start < len(names) and names[start] == "call_task":
        start += 1
    shown = frames[start] if start < len(frames) else None
    return "".join(traceback.format_exception(type(error), error, shown)).rstrip()


def describe(error: BaseException) -> str:
    """One line: the kind of exception and what it says."""
    said = " ".join(str(error).split())
    if isinstance(error, JobFailed):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _with_traceback(error: BaseException, text: str) -> BaseException:
    if text:
        error.__cause__ = JobTraceback(text)
    return error


def _unpicklable(value: Any, error: Exception) -> JobFailed:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    why = " ".join(str(error).split())
    return JobFailed(f"the task returned a {kind}, which can't be pickled ({why})")
