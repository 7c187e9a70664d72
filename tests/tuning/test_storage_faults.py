"""Whose fault a failing write is: the disk's, one worker's, or nobody's who matters."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hrfs.experiment.errors import StorageError
from hrfs.tuning import winner
from hrfs.tuning.ending import _publish
from hrfs.tuning.failures import read_failure
from hrfs.tuning.ledger import Ledger
from hrfs.tuning.lineage import PolicyLine, write_policy
from hrfs.tuning.private_snapshots import AGAIN_S, PatientSnapshots
from hrfs.tuning.storage_chatter import LOGGERS, shorten
from hrfs.tuning.storage_saves import FailedSaves, SaveError, saving

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/disk/state.ckpt")
FAULT = SaveError("/disk/state.ckpt", "No space left on device")


def test_an_error_names_file_and_cause_in_one_line_and_travels() -> None:
    error = SaveError.of("/disk/state.ckpt", FULL)
    assert str(error) == "/disk/state.ckpt cannot be written: No space left on device"
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.path, back.cause) == (SaveError, error.path, error.cause)
    assert str(StorageError("a", "b\n c")) == "a cannot be written: b c"


def test_what_cannot_be_saved_leaves_no_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint_000001"
    folder.mkdir()
    with pytest.raises(SaveError, match="cannot be written: No space"), saving(folder, folder):
        raise FULL
    assert not folder.exists()
    folder.mkdir()
    (folder / "part").touch()
    with pytest.raises(SaveError, match="0001 cannot be written: gone"), saving(folder, folder):
        raise OSError("gone")
    assert (folder / "part").exists()
    with pytest.raises(KeyError), saving(folder, folder):
        raise KeyError("a fault of the trainable's own")


def test_a_save_that_failed_does_not_count_against_the_trial() -> None:
    from ray.exceptions import RayTaskError

    def as_ray_raises(error: Exception) -> RayTaskError:
        return RayTaskError("step", f"Traceback\n{type(error).__name__}: {error}", error)

    failure = read_failure(as_ray_raises(FAULT))
    assert (failure.own, failure.worker_died, failure.kind) == (False, False, "storage")
    assert failure.unsaved is FAULT
    assert failure.reason == str(FAULT)
    assert read_failure(as_ray_raises(FULL)).own  # a file of the user's own


def test_one_worker_that_cannot_save_is_taken_out_and_no_more() -> None:
    saves = FailedSaves()
    for _ in range(5):
        assert not saves.note_failed("a", FAULT, ["a", "b"])
        saves.note_saved("a")
    assert [saves.note_failed("a", FAULT, ["a", "b"]) for _ in range(3)] == [False, False, True]
    saves.note_saved("b")
    assert saves.note_failed("a", FAULT, ["a", "b"])  # back, and no better
    saves.note_saved("a")
    assert not saves.note_failed("a", FAULT, ["a", "b"])


def test_a_disk_is_full_once_no_worker_can_save() -> None:
    saves = FailedSaves()
    assert not saves.note_failed("a", FAULT, ["a", "b"])
    assert not saves.note_failed("b", FAULT, ["a", "b"])  # twice may be a hiccup
    with pytest.raises(StorageError) as raised:
        saves.note_failed("a", FAULT, ["a", "b"])
    assert raised.value.path == "/disk/state.ckpt"
    assert raised.value.cause.endswith("(3 saves in a row failed, on every worker)")
    assert not isinstance(raised.value, SaveError)


def test_a_fault_half_way_is_kept_out_of_the_event_log(tmp_path: Path) -> None:
    told: list[str] = []

    class Journal:
        def note(self, entry: Any) -> None:
            told.append("noted")

        def write(self, trials: Any) -> None:
            told.append("written")

    class Outbound:
        def carry_out(self, decision: Any, facts: Any) -> None:
            raise FULL  # the copy of an exploit

    context: Any = SimpleNamespace(
        trials={},
        core=SimpleNamespace(handle=lambda event: ["exploit"]),
        observers=SimpleNamespace(flush=lambda: told.append("flushed")),
    )
    outbound: Any = Outbound()
    ledger = Ledger(context, outbound, {})
    journal: Any = Journal()
    ledger._journal = journal
    with pytest.raises(StorageError, match=r"/disk/state\.ckpt cannot be written: No space left"):
        ledger.enter(SimpleNamespace(event=None, facts={}))  # type: ignore[arg-type]
    ledger.settle()  # what closing the scheduler does
    assert told == ["noted"]


def test_a_policy_done_again_is_the_same(tmp_path: Path) -> None:
    line = PolicyLine("1", "0", 10, 10, {"lr": 0.1}, {"lr": 0.2})
    write_policy(tmp_path, "run_1", "run_0", line)
    once = (tmp_path / "pbt_policy_run_1.txt").read_text()
    write_policy(tmp_path, "run_1", "run_0", line)
    assert (tmp_path / "pbt_policy_run_1.txt").read_text() == once == line.to_json() + "\n"
    write_policy(tmp_path, "run_2", "run_1", line)
    assert (tmp_path / "pbt_policy_run_2.txt").read_text() == once * 2


def test_tunes_snapshots_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    now_s, full, calls = [0.0], [True], []

    def save() -> None:
        """Tune's own, which nobody calls here."""

    def sync(save_fn: Callable[[], None], force: bool, wait: bool) -> None:
        assert save_fn is save
        calls.append((force, wait))
        if full[0]:
            raise FULL

    snapshots = PatientSnapshots(sync, lambda: now_s[0])
    with caplog.at_level(logging.WARNING, logger="hrfs"):
        snapshots(save)
        snapshots(save)  # too soon
        now_s[0] += AGAIN_S
        snapshots(save)
        snapshots(save, force=True, wait=True)
        full[0] = False
        now_s[0] += AGAIN_S
        snapshots(save)
        snapshots(save)
    assert calls == [(False, False), (False, False), (True, True), (False, False), (False, False)]
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == (
        "Ray Tune's own snapshot cannot be written (/disk/state.ckpt: No space left on device); "
        "the run goes on without it"
    )


def test_tunes_tracebacks_of_it_become_one_line() -> None:
    import inspect

    from ray.train._internal import syncer
    from ray.tune.execution import experiment_state

    assert [experiment_state.logger.name, syncer.logger.name] == list(LOGGERS)
    assert "Saving experiment state to storage" in inspect.getsource(experiment_state)
    assert "Last sync command failed" in inspect.getsource(syncer)
    shorten()
    shorten()  # of a second run in this process
    told: list[tuple[str, object]] = []
    listener = logging.Handler()
    listener.emit = lambda record: told.append((record.getMessage(), record.exc_info))  # type: ignore[method-assign]
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(listener)
        logger.error("Last sync command failed with the following error:\nTrace\nOSError: no")
        try:
            raise FULL
        except OSError:
            logger.error("Saving experiment state to storage at 'x' failed", exc_info=True)
        logger.error("something else")
        logger.removeHandler(listener)
    assert told == [
        (
            "Ray Tune's own snapshot cannot be written (OSError: no); the run goes on without it",
            None,
        ),
        ("something else", None),
        ("something else", None),
    ]


@pytest.mark.parametrize(("number", "stops"), [(errno.ENOSPC, True), (errno.ENOENT, False)])
def test_a_winner_without_space_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, stops: bool
) -> None:
    import ray
    from ray.exceptions import RayTaskError

    def evaluate(settings: Any, state: Path, worker: Any, export_to: Path) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(winner, "resolve_name", lambda dotted: evaluate)
    with pytest.raises(SaveError if stops else OSError) as raised:
        winner._evaluate("evaluate", {}, tmp_path, None, tmp_path / "winner.ckpt")  # type: ignore[arg-type]

    def get(task: Any) -> Any:
        raise RayTaskError("_evaluate", "Traceback\nOSError: why", raised.value)

    monkeypatch.setattr(ray, "get", get)
    if stops:
        with pytest.raises(SaveError, match=r"winner\.ckpt cannot be written: No space left"):
            winner._wait(None, 3)
    else:
        assert "could not be tested" in winner._wait(None, 3).reason


def test_the_best_winner_is_copied_whole_or_not_at_all(tmp_path: Path) -> None:
    source, target = tmp_path / "winner_seed_1.ckpt", tmp_path / "winner.ckpt"
    source.write_bytes(bytes(3000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageError, match=r"winner\.ckpt cannot be written: File too large"):
            _publish(source, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    _publish(source, target)
    assert target.read_bytes() == source.read_bytes()
