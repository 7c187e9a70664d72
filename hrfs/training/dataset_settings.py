"""The keys of ``conf/dataset`` for the datasets that come with hrfs; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hrfs.experiment.errors import ConfigError
from hrfs.training.settings import from_mapping, require_at_least, require_type

IMAGE_DATA_TARGET = "hrfs.training.data.ImageData"


@dataclass(frozen=True, slots=True)
class DatasetSettings:
    """One dataset and how batches are made of it; also the arguments of ``ImageData``."""

    name: str
    """One of :data:`hrfs.training.sources.SOURCES`."""
    root: str = "data"
    """Folder of the files; unused by datasets that need none."""
    download: bool = False
    """Fetch missing files when the run starts."""
    batch_size: int = 128
    """Of training; evaluation, which keeps no activations, takes four times as many at once."""
    validation_fraction: float = 0.1
    """Part of the training set, in (0, 1), that is held out to compare trials."""
    augment: bool = False
    """Shift each training image by up to 4 pixels, and mirror half of them."""
    cutout: int = 0
    """Side, in pixels, of a square that is blotted out of each training image; 0: none."""
    device_resident: bool | Literal["auto"] = "auto"
    """``true``: the images lie where they are trained on, or the run is refused. ``false``:
    processes read them and make the batches. ``auto``: the first if there is room."""
    loader_workers: int = 2
    """How many such processes each of training and evaluation has."""
    checksums: str = "standard"
    """``standard`` (the published MD5s), ``none``, or a file as ``md5sum`` prints it."""
    samples: int | None = None
    """Training images to make, for ``synthetic`` alone."""
    num_classes: int | None = None
    channels: int | None = None
    image_size: int | None = None
    """Height and width in pixels. These three describe the dataset to the model."""
    split_seed: int = 0
    """Which images are held out; the same for all trials."""

    def __post_init__(self) -> None:
        for name in ("name", "root", "checksums"):
            require_type(f"dataset.{name}", getattr(self, name), str)
        for name in ("download", "augment"):
            require_type(f"dataset.{name}", getattr(self, name), bool)
        require_at_least("dataset.batch_size", self.batch_size, 1)
        require_at_least("dataset.split_seed", self.split_seed, 0)
        require_at_least("dataset.cutout", self.cutout, 0)
        require_at_least("dataset.loader_workers", self.loader_workers, 1)
        if not isinstance(self.device_resident, bool) and self.device_resident != "auto":
            raise ConfigError(
                "dataset.device_resident", self.device_resident, "must be auto, true or false"
            )
        for name in ("samples", "num_classes", "channels", "image_size"):
            if getattr(self, name) is not None:
                require_at_least(f"dataset.{name}", getattr(self, name), 1)
        fraction = self.validation_fraction
        if isinstance(fraction, bool) or not isinstance(fraction, int | float):
            raise ConfigError("dataset.validation_fraction", fraction, "must be a number")
        if not 0 < fraction < 1:
            raise ConfigError(
                "dataset.validation_fraction",
                fraction,
                "must lie between 0 and 1, both excluded",
                "trials are compared on the images that it holds out of training",
            )


def is_image_data(plain: Mapping[str, Any]) -> bool:
    """Whether this dataset configuration is one of ours, not a user's own data module."""
    return plain.get("_target_") == IMAGE_DATA_TARGET


def parse_dataset(plain: Mapping[str, Any]) -> DatasetSettings:
    """The settings in a ``dataset`` group.

    Raises:
        ConfigError: unknown key, wrong type or value out of range.
    """
    values = {key: value for key, value in plain.items() if key != "_target_"}
    if "name" not in values:
        raise ConfigError("dataset.name", None, "must be given")
    return from_mapping(DatasetSettings, values, "dataset")


def resolve_paths(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A ``dataset`` group with its relative paths made absolute, fit to travel to workers.

    A worker's process may run in another folder than the command line. Only a dataset of ours
    is changed: which keys of a user's own data module are paths, nobody can know.
    """
    resolved = dict(plain)
    if is_image_data(plain):
        settings = parse_dataset(plain)
        resolved["root"] = str(Path(settings.root).expanduser().absolute())
        if settings.checksums not in ("standard", "none"):
            resolved["checksums"] = str(Path(settings.checksums).expanduser().absolute())
    return resolved
