"""Why a slice was lost: the worker's process, or the training itself, and in what way.

The error is the object that Ray gave to Tune in this process. Ray has unpickled it when it came
from the worker, as it does every result; nothing is unpickled for what is done here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from hrfs.experiment.records import FailureKind
from hrfs.tuning.storage_saves import SaveError
from hrfs.tuning.tracebacks import plain_text, users_part

_TOO_MUCH = "Ray ended its process, for the node ran out of memory: give it fewer workers, or lower"
_LAST_LINE = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(?:: (?P<text>.*))?$")
_FULL_OR_GONE = re.compile(r"\[Errno (?:5|28|30|116|122)\]")
"""EIO, ENOSPC, EROFS, ESTALE and EDQUOT."""
_NO_HOST_MEMORY = ("DefaultCPUAllocator", "can't allocate memory", "[Errno 12]")
_NO_GPU_MEMORY = ("CUDA out of memory", "HIP out of memory", "CUDA error: out of memory")


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended a slice.

    ``worker_died`` tells a lost process or node from an exception in training. ``own`` says that
    it counts against the trial: it does unless the process was lost for no fault of training.
    """

    reason: str
    kind: FailureKind
    worker_died: bool = False
    own: bool = True
    traceback: str = ""
    """As raised in the worker, from the user's own code on; empty if there is none."""
    unsaved: SaveError | None = None
    """What kept the trial's state from being written: no fault of the trial."""


def read_failure(error: Exception | None) -> Failure:
    """What ``error`` says, as Ray raised it for the slice; None if Tune had none from Ray.

    A process that ended in its own set-up did not die of its worker: that is an exception.
    """
    if error is None:
        return Failure("unknown failure", "unknown")
    if isinstance(error.__cause__, OutOfMemoryError):  # see private_errors.as_expected
        hint = f"{_TOO_MUCH} dataset.batch_size ({_first_line(error.__cause__)})"
        return Failure(f"worker process died: {hint}", "out of host memory", worker_died=True)
    if isinstance(error, RayActorError) and not error.actor_init_failed:
        reason = f"worker process died: {_first_line(error)}"
        return Failure(reason, "worker lost", worker_died=True, own=False)
    if isinstance(error, RayTaskError):
        # Ray's dual class (RayTaskError and the cause's in one) keeps only the words of it.
        return _raised(error.cause, vars(error).get("traceback_str") or str(error))
    return _raised(None, str(error))


def _raised(cause: object, text: str) -> Failure:
    """An exception in the worker's process; ``text`` is its traceback."""
    text = plain_text(text)
    if isinstance(cause, SaveError):
        return Failure(str(cause), "storage", own=False, traceback=users_part(text), unsaved=cause)
    names, message = _last_words(text)
    if isinstance(cause, BaseException) and not type(cause).__module__.startswith("ray."):
        kinds = type(cause).__mro__
        names = [f"{one.__module__}.{one.__qualname__}" for one in kinds]
        message = _words_of(cause) or message
    told = " ".join(message.split())
    short = names[0].rpartition(".")[2]
    reason = f"{short}: {told}" if told else short
    return Failure(reason, _kind(set(names), message), traceback=users_part(text))


def _words_of(cause: BaseException) -> str:
    try:
        return str(cause)
    except Exception:  # the user's class, whose __str__ may do anything; the traceback is left
        return ""


def _kind(names: set[str], message: str) -> FailureKind:
    """Told by the names of the exception's class and of those that it derives from.

    Not by the classes themselves: torch's would have to be imported.
    """
    short = {name.rpartition(".")[2] for name in names}
    if "torch.OutOfMemoryError" in names or any(words in message for words in _NO_GPU_MEMORY):
        return "out of GPU memory"
    if "MemoryError" in short or any(words in message for words in _NO_HOST_MEMORY):
        return "out of host memory"
    if "hrfs.experiment.checkpoint.CheckpointError" in names:
        return "checkpoint damaged"
    if "hrfs.experiment.errors.ConfigError" in names:
        return "configuration"
    if "DataLoader worker (pid" in message:  # "Caught ... in DataLoader worker" is an exception
        return "data loader"
    return "storage" if _FULL_OR_GONE.search(message) else "exception"


def _last_words(text: str) -> tuple[list[str], str]:
    """Name and message of the exception with which a traceback ends."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return ["unknown failure"], ""
    found = _LAST_LINE.match(lines[-1].strip())
    if found is None:
        return [lines[-1].strip()], ""
    return [found["name"]], found["text"] or ""


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no word of it")
