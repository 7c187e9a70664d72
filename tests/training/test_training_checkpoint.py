from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_helpers import same

from hrfs.experiment.checkpoint import (
    CheckpointError,
    read_checkpoint,
    stream_checkpoint,
    write_checkpoint,
)
from hrfs.training.state import TrialState, load_state, save_state

HEADER_BYTES = 20


def a_state() -> TrialState:
    return TrialState(
        state_dict={"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)},
        optimizer_states=[{"state": {0: {"momentum": torch.ones(2)}}, "param_groups": [{"lr": 1}]}],
        trial=4,
        iteration=50,
        seed=7,
        hyper_parameters={"lr": np.float64(0.1), "layers": 3, "kind": "a"},
        extra={"note": [1, 2]},
    )


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_is_written_is_read(tmp_path: Path, kind: Any) -> None:
    write_checkpoint(tmp_path / "deep" / "state", kind(b"payload"))
    assert read_checkpoint(tmp_path / "deep" / "state") == b"payload"
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["state"]


def test_the_layout_is_as_documented(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "state", b"payload")
    data = (tmp_path / "state").read_bytes()
    assert data[:8] == b"hrfsckpt"
    assert int.from_bytes(data[8:12], "little") == 1
    assert int.from_bytes(data[12:20], "little") == 7
    assert data[HEADER_BYTES:27] == b"payload"
    assert data[27:] == hashlib.sha256(b"payload").digest()


def test_a_changed_byte_is_found_with_both_digests(tmp_path: Path) -> None:
    file = tmp_path / "state"
    write_checkpoint(file, b"payload")
    data = bytearray(file.read_bytes())
    data[HEADER_BYTES + 6] ^= 1
    file.write_bytes(data)
    expected, found = hashlib.sha256(b"payload"), hashlib.sha256(data[HEADER_BYTES:-32])
    with pytest.raises(
        CheckpointError,
        match=f"state: expected SHA-256 {expected.hexdigest()}, found SHA-256 {found.hexdigest()}",
    ):
        read_checkpoint(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:-2], "expected 7 bytes of payload, found 5 bytes"),
        (lambda d: d + b"x", "expected 7 bytes of payload, found 8 bytes"),
        (lambda d: d[:19], "expected a file that begins with b'hrfsckpt'"),
        (lambda d: b"PK" + d, "found b'PKhrfsck'"),
        (lambda d: d[:8] + b"\x09" + d[9:], "expected version 1, found version 9"),
        (lambda d: b"", "found b''"),
    ],
)
def test_a_damaged_or_foreign_file_is_told(tmp_path: Path, change: Any, message: str) -> None:
    file = tmp_path / "state"
    write_checkpoint(file, b"payload")
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(file)


def test_the_error_survives_the_way_between_processes() -> None:
    error = CheckpointError(Path("f"), "a", "b")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.file, copy.found) == (str(error), Path("f"), "b")


def test_a_state_comes_back_whole(tmp_path: Path) -> None:
    save_state(tmp_path / "state", a_state())
    loaded = load_state(tmp_path / "state")
    for name in ("state_dict", "optimizer_states", "trial", "iteration", "seed", "extra"):
        assert same(getattr(loaded, name), getattr(a_state(), name)), name
    assert loaded.hyper_parameters == {"lr": 0.1, "layers": 3, "kind": "a"}
    assert type(loaded.hyper_parameters["lr"]) is float


class Canary:
    """Leaves a folder behind if anyone unpickles it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    canary, file = tmp_path / "ran", tmp_path / "state"
    buffer = io.BytesIO()
    torch.save({"state_dict": Canary(canary)}, buffer)
    for payload in (buffer.getvalue(), pickle.dumps(Canary(canary), protocol=2)):
        write_checkpoint(file, payload)
        with pytest.raises(CheckpointError, match="expected tensors and plain values only"):
            load_state(file)
        file.write_bytes(payload)
        with pytest.raises(CheckpointError, match="begins with b'hrfsckpt'"):
            load_state(file)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary)))
    assert canary.exists(), "the canary itself must work, or this test shows nothing"


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2]])
def test_a_state_of_another_kind_is_refused(tmp_path: Path, content: Any) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_checkpoint(tmp_path / "state", buffer.getvalue())
    with pytest.raises(CheckpointError, match="expected the keys state_dict, optimizer_states"):
        load_state(tmp_path / "state")


def test_a_failed_write_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state"
    write_checkpoint(file, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(file, b"new")
    assert read_checkpoint(file) == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


def test_a_payload_in_pieces_is_the_payload(tmp_path: Path) -> None:
    pieces = [b"a", bytes(range(256)) * 1000, b"", bytearray(b"z" * 100_000)]
    stream_checkpoint(tmp_path / "streamed", lambda sink: [sink.write(piece) for piece in pieces])
    write_checkpoint(tmp_path / "whole", b"".join(pieces))
    assert read_checkpoint(tmp_path / "streamed") == b"".join(pieces)
    assert (tmp_path / "streamed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_full_disk_is_told_as_such_and_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state"
    save_state(file, a_state())
    large = a_state()
    large.state_dict["weight"] = torch.ones(100_000)
    with pytest.raises(OSError, match="No space left"), full_disk(monkeypatch):
        save_state(file, large)
    assert load_state(file).iteration == 50
    assert same(load_state(file).state_dict, a_state().state_dict)
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


@contextlib.contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files that take in no large piece."""
    open_file = os.fdopen

    class Full(io.BufferedWriter):
        def write(self, data: Any) -> int:
            if len(data) > 50_000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", lambda handle, mode: Full(open_file(handle, mode, 0)))
        yield


def test_torchs_own_sums_are_back_after_a_save(tmp_path: Path) -> None:
    assert torch.serialization.get_crc32_options() is True
    save_state(tmp_path / "state", a_state())
    assert torch.serialization.get_crc32_options() is True
