"""What is made of the errors that Ray hands over, without a cluster."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import (
    ActorDiedError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    UnserializableException,
)

from hrfs.experiment.checkpoint import CheckpointError
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import FailureKind
from hrfs.tuning.failures import read_failure
from hrfs.tuning.private_errors import CONTROLLER_NAMES, MANAGER_NAMES, ErrorWatch, as_expected
from hrfs.tuning.tracebacks import users_part

SITE = "/venv/lib/python3.11/site-packages"
WHOLE = f"""Traceback (most recent call last):
  File "{SITE}/ray/tune/trainable/trainable.py", line 326, in train
    result = self.step()
             ^^^^^^^^^^^
  File "/home/me/hrfs/hrfs/training/runner.py", line 170, in run
    metrics = self._fit(request, batches, callback)
  File "{SITE}/pytorch_lightning/trainer/trainer.py", line 584, in fit
    call._call_and_handle_interrupt(
  File "/usr/lib/python3.11/contextlib.py", line 81, in inner
    return func(*args, **kwds)
  File "/home/me/work/nets.py", line 7, in training_step
    loss = self.loss(batch)
  File "/home/me/work/losses.py", line 3, in loss
    return self.log("loss", batch)
  File "{SITE}/pytorch_lightning/core/module.py", line 400, in log
    raise ValueError("no such key")
ValueError: no such key"""


class PickyError(Exception):
    def __init__(self, left: str, right: str) -> None:
        super().__init__(left + right)


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I will not say")


def raised(cause: Exception, text: str = "") -> Exception:
    """As Ray hands over what was raised in a process."""
    told = text or f"Traceback (most recent call last):\n{type(cause).__name__}: what was raised"
    return RayTaskError("train", told, cause, pid=1, ip="here").as_instanceof_cause()


def named(name: str, module: str, *bases: type) -> Exception:
    made: type[Exception] = type(name, bases or (RuntimeError,), {"__module__": module})
    return made("no room")


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (ValueError("shapes differ"), "exception"),
        (MemoryError(), "out of host memory"),
        (named("_ArrayMemoryError", "numpy._core._exceptions", MemoryError), "out of host memory"),
        (RuntimeError("out of CPU memory (DefaultCPUAllocator)"), "out of host memory"),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "out of host memory"),
        (named("OutOfMemoryError", "torch"), "out of GPU memory"),
        (RuntimeError("CUDA error: out of memory"), "out of GPU memory"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "data loader"),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "data loader"),
        (ValueError("Caught ValueError in DataLoader worker process 0.\nno"), "exception"),
        (CheckpointError(Path("x"), "a", "b"), "checkpoint damaged"),
        (ConfigError("dataset.root", "x", "is missing"), "configuration"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "storage"),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT)), "exception"),
    ],
)  # fmt: skip
def test_each_error_is_of_a_kind_and_counts_against_its_trial(
    cause: Exception, kind: FailureKind
) -> None:
    failure = read_failure(raised(cause))
    assert failure.kind == kind
    assert failure.own
    assert not failure.worker_died
    assert "\n" not in failure.reason


def test_a_reason_is_in_the_words_of_the_exception() -> None:
    assert read_failure(raised(ValueError("a\n  b"))).reason == "ValueError: a b"
    assert read_failure(raised(MuteError())).reason == "MuteError: what was raised"
    assert read_failure(None).reason == "unknown failure"


def test_a_lost_process_is_no_fault_of_the_trial() -> None:
    failure = read_failure(ActorDiedError())
    assert failure.reason.startswith("worker process died: The actor died unexpectedly")
    assert (failure.kind, failure.worker_died, failure.own) == ("worker lost", True, False)


def test_a_process_that_failed_in_its_set_up_is_an_exception() -> None:
    text = '\x1b[36mray::Trainable.__init__()\x1b[39m (pid=1)\n  File "a.py", line 1, in f\n    x'
    told = f"The actor died because of an error raised in its creation task, {text}\nmy.Error: no"
    failure = read_failure(RayActorError(error_msg=told, actor_init_failed=True))
    assert (failure.reason, failure.kind, failure.worker_died) == ("Error: no", "exception", False)


def test_rays_memory_monitor_takes_the_process_and_the_trial_is_to_blame() -> None:
    error = as_expected(OutOfMemoryError("Task was killed due to the node running low on memory."))
    assert isinstance(error, RayActorError), "Tune would end the experiment at another"
    failure = read_failure(error)
    assert (failure.kind, failure.worker_died, failure.own) == ("out of host memory", True, True)
    assert "dataset.batch_size (Task was killed" in failure.reason


def test_an_exception_that_cannot_be_unpickled_is_read_from_its_traceback() -> None:
    words = f"ray.exceptions.RayTaskError: ray::train()\n{WHOLE}\nmine.PickyError: left right"
    error = as_expected(UnserializableException(words))
    assert isinstance(error, RayTaskError)
    failure = read_failure(error)
    assert failure.reason == "PickyError: left right"
    assert "losses.py" in failure.traceback


@pytest.mark.parametrize("error", [RayError("gone"), RuntimeError("x"), ValueError("y")])
def test_tune_is_handed_only_what_it_can_take(error: Exception) -> None:
    assert isinstance(as_expected(error), (RayActorError, RayTaskError))
    assert as_expected(error).__cause__ is error
    known = ActorDiedError()
    assert as_expected(known) is known


def test_the_watch_keeps_the_error_of_each_trial_once_and_passes_it_on() -> None:
    told: list[Any] = []
    manager = SimpleNamespace(
        _actor_task_failed=lambda task, error: told.append(error),
        _actor_start_failed=lambda actor, error: told.append(error),
    )
    trials = {"actor": SimpleNamespace(trial_id="t1")}
    controller: Any = SimpleNamespace(_actor_manager=manager, _actor_to_trial=trials)
    watch = ErrorWatch(controller)
    first, second = raised(ValueError("1")), OutOfMemoryError("2")
    manager._actor_task_failed(SimpleNamespace(_tracked_actor="actor"), first)
    assert watch.take("t1") is first
    assert watch.take("t1") is None
    manager._actor_start_failed("actor", second)
    manager._actor_start_failed("idle", first)
    found = watch.take("t1")
    assert found is not None
    assert found.__cause__ is second
    assert told == [first, found, first]


def test_the_private_names_are_there() -> None:
    import inspect

    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.tune.execution.tune_controller import TuneController

    for name in MANAGER_NAMES:
        method = getattr(RayActorManager, name)
        assert list(inspect.signature(method).parameters)[2] == "exception"
    source = inspect.getsource(RayActorManager)
    for name in MANAGER_NAMES:  # looked up on the object at each call, so ours is called
        assert source.count(f"self.{name}(") == 1
    assert all(f"self.{name}" in inspect.getsource(TuneController) for name in CONTROLLER_NAMES)
    assert '"_actor_manager",' in inspect.getsource(TuneController.__getstate__)


def test_a_traceback_begins_with_the_users_own_code() -> None:
    kept = users_part(WHOLE).splitlines()
    assert kept[1] == "  [4 frames of hrfs, Lightning and Ray left out]"
    assert kept[2].startswith('  File "/home/me/work/nets.py", line 7')
    assert kept[-1] == "ValueError: no such key"
    own = [line for line in WHOLE.splitlines() if "/home/me/work/" in line]
    assert [line for line in kept if "/home/me/work/" in line] == own
    assert any("in log" in line for line in kept), "what the user's code called stays"


def test_each_of_a_chain_of_tracebacks_is_cut() -> None:
    outer = "\n".join(WHOLE.splitlines()[:6]) + "\nMemoryError: a hint"
    link = "\n\nThe above exception was the direct cause of the following exception:\n\n"
    kept = users_part(WHOLE + link + outer)
    assert kept.count("frames of hrfs, Lightning and Ray left out]") == 2
    assert kept.endswith("MemoryError: a hint")
    assert "runner.py" not in kept


def test_of_a_data_loaders_process_the_inner_traceback_counts() -> None:
    outer = "\n".join(WHOLE.splitlines()[:6])
    inner = (
        'Original Traceback (most recent call last):\n'
        f'  File "{SITE}/torch/utils/data/_utils/worker.py", line 1, in _worker_loop\n'
        '    data = fetcher.fetch(index)\n'
        '  File "/home/me/work/data.py", line 9, in __getitem__\n'
        '    raise KeyError(index)\n'
        'KeyError: 3'
    )  # fmt: skip
    kept = users_part(
        f"{outer}\nKeyError: Caught KeyError in DataLoader worker process 0.\n{inner}"
    )
    assert "data.py" in kept
    assert "worker.py" not in kept
    assert "Caught KeyError" in kept


def test_without_a_frame_of_the_users_all_is_shown() -> None:
    text = "\n".join(WHOLE.splitlines()[:6]) + "\nRuntimeError: inside"
    assert users_part(text) == text
    assert users_part("nothing but words") == ""
