"""Making LightningDataModules from a configuration."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from filelock import FileLock
from pytorch_lightning import LightningDataModule

from hrfs.experiment.errors import ConfigError
from hrfs.training.settings import RunnerSettings
from hrfs.training.targets import TARGET, construct, instantiate, locate


def build_data(settings: RunnerSettings) -> LightningDataModule:
    """The configured data module; opens no file of ours.

    Raises:
        ConfigError: the target may not be named, is no LightningDataModule, or does not take
            the given arguments.
    """
    key = f"dataset.{TARGET}"
    cls = locate(settings.dataset[TARGET], key, settings.allowed_targets)
    if not issubclass(cls, LightningDataModule):
        raise ConfigError(
            key,
            settings.dataset[TARGET],
            "must be a pytorch_lightning.LightningDataModule",
            "derive it from that class, not from lightning.pytorch's",
        )
    arguments = {name: value for name, value in settings.dataset.items() if name != TARGET}
    data: LightningDataModule = construct(
        cls, instantiate(arguments, "dataset", settings.allowed_targets), "dataset"
    )
    return data


def prepare_node(data: LightningDataModule, settings: RunnerSettings) -> None:
    """Call ``prepare_data``, one process of this node at a time.

    Lightning promises that hook to one process per node; here each worker's process calls
    it, and all but the first find their work done.
    """
    digest = hashlib.sha256(repr(sorted(settings.dataset.items())).encode()).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    with FileLock(Path(tempfile.gettempdir()) / f"hrfs-data-{user}-{digest}.lock"):
        data.prepare_data()
