"""Keeping a donor's checkpoint for the trial that takes it over."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from pyarrow.fs import FileType
from ray.tune.experiment import Trial

log = logging.getLogger("hrfs")


def adopt(trial: Trial, checkpoint: str, tag: str) -> str:
    """Give ``trial`` its own copy of a donor's checkpoint folder, and return its path.

    A trial that merely pointed at the donor's folder would find it deleted by the donor's
    retention. On a local path the files are hard-linked, which takes no time and no space:
    checkpoints are written once and never changed. Elsewhere they are copied on the storage.

    If the donor's is gone, so is the copy: its trial will find that out when it is to load it.

    Raises:
        OSError: the storage cannot be written.
    """
    target = f"{trial.storage.trial_fs_path}/checkpoint_{tag}"
    filesystem = trial.storage.storage_filesystem
    if filesystem.get_file_info(checkpoint).type == FileType.NotFound:
        log.warning("%s, which a trial was to take over, is gone", checkpoint)
        return target
    if filesystem.type_name == "local":
        _link_tree(Path(checkpoint), Path(target))
    else:
        from pyarrow.fs import copy_files

        copy_files(
            checkpoint, target, source_filesystem=filesystem, destination_filesystem=filesystem
        )
    return target


def _link_tree(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a storage without hard links, such as some network shares
        shutil.copy2(source, target)
