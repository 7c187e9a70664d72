"""A checkpoint is lost only if the driver finds so too; else it is the way to it that fails."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow.fs import FileSystem, LocalFileSystem, SubTreeFileSystem

from hrfs.experiment.checkpoint import CheckpointError, write_checkpoint
from hrfs.experiment.event_log import EVENTS_NAME
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest

pytestmark = pytest.mark.ray


@pytest.fixture(params=["local", "elsewhere"])
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Its folder, with a sound checkpoint, on a local path or on some other storage."""
    (tmp_path / EVENTS_NAME).write_text("{}\n")
    write_checkpoint(tmp_path / "trial_00" / "checkpoint_000001" / "state.ckpt", bytes(5000))
    filesystem: FileSystem = LocalFileSystem()
    root = str(tmp_path)
    if request.param == "elsewhere":
        filesystem, root = SubTreeFileSystem(str(tmp_path), filesystem), ""
    storage = SimpleNamespace(storage_filesystem=filesystem, experiment_fs_path=root or ".")
    return SimpleNamespace(storage=storage, checkpoint=f"{root or '.'}/trial_00/checkpoint_000001")


def flip(folder: Path) -> None:
    content = bytearray((folder / "state.ckpt").read_bytes())
    content[2500] ^= 4
    (folder / "state.ckpt").write_bytes(content)


LOST: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "cut": lambda folder: os.truncate(folder / "state.ckpt", 2000),
    "cut in its head": lambda folder: os.truncate(folder / "state.ckpt", 4),
    "empty": lambda folder: os.truncate(folder / "state.ckpt", 0),
    "without its file": lambda folder: (folder / "state.ckpt").unlink(),
    "gone": shutil.rmtree,
    "another's": lambda folder: (folder / "state.ckpt").write_bytes(b"PK\x03\x04" * 100),
}


@pytest.mark.parametrize("how", LOST)
def test_what_the_driver_cannot_read_either_is_lost(trial: Any, tmp_path: Path, how: str) -> None:
    from hrfs.tuning.fallback import is_lost

    assert not is_lost(trial, trial.checkpoint), "it is sound"
    LOST[how](tmp_path / "trial_00" / "checkpoint_000001")
    assert is_lost(trial, trial.checkpoint)


def test_a_storage_that_is_away_loses_nothing(trial: Any, tmp_path: Path) -> None:
    from hrfs.tuning.fallback import is_lost

    for path in list(tmp_path.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not is_lost(trial, trial.checkpoint)


def test_a_storage_that_fails_now_loses_nothing(
    trial: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from hrfs.tuning import fallback

    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(fallback, "read_checkpoint", fail)
    assert not fallback.is_lost(trial, trial.checkpoint)
    assert "cannot be read now" in caplog.text


def test_a_process_complains_of_its_checkpoint_at_its_first_step_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tune ends a trial for good if its process cannot be set up or reset, and retries a slice.
    from ray.train._internal.session import _TrainingResult
    from ray.tune import Checkpoint
    from toys import Sealed

    from hrfs.tuning import trainable

    def result_of(toy: Any, path: str, counters: Any) -> Any:
        return _TrainingResult(checkpoint=Checkpoint(path), metrics={})

    def config(checkpoint: Path) -> dict[str, Any]:
        worker = WorkerInfo("a", "cpu", "here", 1.0)
        request = SliceRequest(1, 0, 10, 5, worker, {"lr": 0.5}).to_dict()
        handover = {"path": str(checkpoint), "counters": {}}
        damage = {"kind": "none", "markers": str(tmp_path)}
        return {"hrfs": request, "hrfs_handover": handover, "lr": 0.5, "damage": damage}

    monkeypatch.setattr(trainable, "stored_result", result_of)
    monkeypatch.setattr(Sealed, "train_slice", lambda self, request: {"score": self.value})
    sound, cut, gone = (tmp_path / f"checkpoint_{number:06d}" for number in range(3))
    state = json.dumps({"history": [], "value": 5.0}).encode()
    for folder in (sound, cut):
        write_checkpoint(folder / "state.ckpt", state)
    os.truncate(cut / "state.ckpt", 20)

    toy = Sealed(config(cut))  # type: ignore[no-untyped-call]
    with pytest.raises(CheckpointError, match=r"checkpoint_000001/state\.ckpt: expected"):
        toy.step()
    toy.reset(config(gone))
    with pytest.raises(CheckpointError, match=r"checkpoint_000002: expected the state of a trial"):
        toy.step()
    toy.reset(config(sound))
    assert toy.step()["score"] == 5.0
