"""Is a checkpoint lost, or only the way to it? A trial that goes back pays for a wrong answer."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from pyarrow.fs import FileType
from ray.tune.experiment import Trial

from hrfs.experiment.checkpoint import CheckpointError, read_checkpoint
from hrfs.experiment.event_log import EVENTS_NAME
from hrfs.tuning.trainable import STATE_FILE

log = logging.getLogger("hrfs")


def is_lost(trial: Trial, checkpoint: str) -> bool:
    """Whether the driver, too, finds ``checkpoint`` damaged or gone.

    If it reads it well, or cannot see the storage at all, a worker's complaint is about the way
    to the file, or about a network that does not fit it: no older checkpoint would help. Of the
    files of a trainable that are not of our own form, a worker's word is believed.
    """
    filesystem = trial.storage.storage_filesystem
    root = trial.storage.experiment_fs_path
    file = f"{checkpoint}/{STATE_FILE}"
    try:
        log_info, folder, state = filesystem.get_file_info(
            [f"{root}/{EVENTS_NAME}", checkpoint, file]
        )
        if log_info.type == FileType.NotFound:
            return False  # the storage is not there, or not the run's
        if folder.type == FileType.NotFound or state.type == FileType.NotFound:
            return True
        _check(trial, file)
    except CheckpointError:
        return True
    except OSError as error:
        log.warning("%s: cannot be read now (%s)", file, error)
    return False


def _check(trial: Trial, file: str) -> None:
    """Raise CheckpointError if ``file`` on the trial's storage is damaged."""
    filesystem = trial.storage.storage_filesystem
    if filesystem.type_name == "local":
        read_checkpoint(Path(file))
        return
    with (
        filesystem.open_input_stream(file) as source,
        tempfile.NamedTemporaryFile() as copy,
    ):
        shutil.copyfileobj(source, copy)
        copy.flush()
        read_checkpoint(Path(copy.name))
