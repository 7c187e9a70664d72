"""Looking at the dataset before a cluster starts; imports neither torch nor torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.training.dataset_settings import (
    DatasetSettings,
    is_image_data,
    parse_dataset,
    resolve_paths,
)
from hrfs.training.host_memory import host_room, require_room
from hrfs.training.sources import make_source
from hrfs.training.sources.shared import count
from hrfs.training.split import held_out_count

__all__ = ["DatasetFacts", "check_dataset", "prepare_dataset", "resolve_paths"]


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """Sizes of a dataset; ``train_samples`` is what is left for training."""

    train_samples: int
    validation_samples: int
    test_samples: int
    num_classes: int
    channels: int
    image_size: int


def prepare_dataset(dataset: Mapping[str, Any]) -> None:
    """Fetch the files of a ``dataset`` group if they are missing and ``download`` is true.

    Called by the driver when a run starts, and by each worker's data module, whose node may
    have its own disk. Does nothing for a user's own data module.

    Raises:
        ConfigError: the files cannot be fetched; says how to do it by hand.
    """
    if is_image_data(dataset):
        prepare(parse_dataset(dataset))


def prepare(settings: DatasetSettings) -> None:
    """As :func:`prepare_dataset`, from checked settings."""
    source = make_source(settings)
    if settings.download and source.missing():
        source.download()


def check_dataset(dataset: Mapping[str, Any], trains_here: bool = False) -> DatasetFacts | None:
    """Check the files and numbers of a ``dataset`` group.

    Reads every file once, which takes about a second for CIFAR, and leaves what it decoded to the
    workers of this node.

    Args:
        trains_here: whether all workers are on this machine, so that its memory counts.

    Returns:
        The sizes, or None for a user's own data module, which only a worker may import.

    Raises:
        ConfigError: files missing, cut short or altered; a batch larger than the training
            set; nothing held out for validation; ``device_resident=true`` and too little memory.
    """
    if not is_image_data(dataset):
        return None
    settings = parse_dataset(dataset)
    source = make_source(settings)
    if trains_here and settings.device_resident is True:
        require_room(source.size_bytes("train"), host_room(), "this machine")
    available, test = count(source, "train"), count(source, "test")
    validation = held_out_count(available, settings.validation_fraction)
    train = available - validation
    if validation == 0 or train == 0:
        raise ConfigError(
            "dataset.validation_fraction",
            settings.validation_fraction,
            f"leaves {train} training and {validation} validation images of {available}",
        )
    if settings.batch_size > train:
        raise ConfigError(
            "dataset.batch_size",
            settings.batch_size,
            f"is more than the {train} training samples",
            f"at most {train}",
        )
    facts = source.facts
    return DatasetFacts(
        train, validation, test, facts.num_classes, facts.channels, facts.image_size
    )
