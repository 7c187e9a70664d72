"""Why a slice was lost: the worker's process, or the training itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ray import cloudpickle
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.experiment import Trial


@dataclass(frozen=True, slots=True)
class Failure:
    """``worker_died`` tells a lost process or node from an exception in training."""

    reason: str
    worker_died: bool


def read_failure(trial: Trial) -> Failure:
    """The trial's last failure, as Tune noted it beside the trial's results.

    A process that ended in its own set-up did not die of its worker: that is an exception.

    The note is a pickle, written by this very driver a moment ago.
    """
    error = _noted(trial)
    if isinstance(error, RayTaskError):
        error = error.as_instanceof_cause()
    if isinstance(error, RayActorError) and not error.actor_init_failed:
        return Failure(f"worker process died: {_first_line(error)}", worker_died=True)
    if error is not None:
        return Failure(_own_words(error), worker_died=False)
    return Failure("unknown failure", worker_died=False)


def _noted(trial: Trial) -> Exception | None:
    # Trial.get_pickled_error reads the storage, to which the note is copied only later.
    if trial.pickled_error_file is None:
        return None
    with Path(trial.pickled_error_file).open("rb") as stream:
        error: Exception = cloudpickle.load(stream)
    return error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _own_words(error: Exception) -> str:
    """``Class: message`` as raised in training; Ray's wrapping puts a traceback before it."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return f"{type(cause).__name__}: {' '.join(str(cause).split())}"
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
