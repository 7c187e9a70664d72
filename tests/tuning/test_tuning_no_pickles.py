"""A checkpoint folder from elsewhere runs nothing, although Tune unpickles a file of that name."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from hrfs.experiment.checkpoint import CheckpointError

pytestmark = pytest.mark.ray


class Canary:
    """Leaves a folder behind if anyone unpickles it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_in_a_checkpoint_is_not_opened(tmp_path: Path) -> None:
    from ray.train._internal.session import _TrainingResult
    from ray.tune import Checkpoint, Trainable

    from hrfs.tuning.trainable import STATE_FILE, SliceTrainable

    class Toy(SliceTrainable):
        def load_state(self, folder: Path) -> None:
            self.loaded = (folder / STATE_FILE).read_text()

    folder, canary = tmp_path / "checkpoint_000001", tmp_path / "ran"
    folder.mkdir()
    (folder / STATE_FILE).write_text("weights")
    result = _TrainingResult(checkpoint=Checkpoint.from_directory(folder), metrics={})
    toy = Toy()
    toy.restore(result)
    assert toy.loaded == "weights"
    (folder / "_dict_checkpoint.pkl").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(CheckpointError, match=r"_dict_checkpoint\.pkl: expected no pickle"):
        toy.restore(result)
    assert not canary.exists()
    with pytest.raises(NotImplementedError):
        Trainable().restore(result)
    assert canary.exists(), "Tune itself unpickles it, or this test shows nothing"
