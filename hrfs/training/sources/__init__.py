"""Datasets by name, as numpy arrays; imports no torch.

A new dataset is one module with an :class:`ImageSource` and one entry of :data:`SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hrfs.experiment.errors import ConfigError
from hrfs.training.dataset_settings import DatasetSettings
from hrfs.training.sources.base import ImageFacts, ImageSource, LabelledImages, Split
from hrfs.training.sources.checksums import Checksums
from hrfs.training.sources.cifar import CIFAR10, CIFAR100, CifarSource
from hrfs.training.sources.digits import DigitsSource
from hrfs.training.sources.fashion_mnist import FashionMnistSource
from hrfs.training.sources.synthetic import SyntheticSource

__all__ = ["SOURCES", "ImageFacts", "ImageSource", "LabelledImages", "Split", "make_source"]

SYNTHETIC_SAMPLES = 2000


def _root(settings: DatasetSettings) -> Path:
    return Path(settings.root).expanduser()


def _synthetic(settings: DatasetSettings) -> ImageSource:
    return SyntheticSource(
        samples=SYNTHETIC_SAMPLES if settings.samples is None else settings.samples,
        num_classes=10 if settings.num_classes is None else settings.num_classes,
        channels=3 if settings.channels is None else settings.channels,
        image_size=32 if settings.image_size is None else settings.image_size,
        seed=settings.split_seed,
    )


SOURCES: dict[str, Callable[[DatasetSettings], ImageSource]] = {
    "cifar10": lambda s: CifarSource(CIFAR10, _root(s), Checksums(s.checksums)),
    "cifar100": lambda s: CifarSource(CIFAR100, _root(s), Checksums(s.checksums)),
    "fashion_mnist": lambda s: FashionMnistSource(_root(s), Checksums(s.checksums)),
    "digits": lambda _: DigitsSource(),
    "synthetic": _synthetic,
}


def make_source(settings: DatasetSettings) -> ImageSource:
    """The source that ``settings.name`` chooses.

    Raises:
        ConfigError: there is none of that name, or it has not the classes, channels or size
            that the settings describe; a square to cut out is larger than its images.
    """
    if settings.name not in SOURCES:
        raise ConfigError("dataset.name", settings.name, f"must be one of {', '.join(SOURCES)}")
    if settings.samples is not None and settings.name != "synthetic":
        raise ConfigError("dataset.samples", settings.samples, "is for dataset=synthetic alone")
    source = SOURCES[settings.name](settings)
    for key in ("num_classes", "channels", "image_size"):
        described, true = getattr(settings, key), getattr(source.facts, key)
        if described is not None and described != true:
            raise ConfigError(
                f"dataset.{key}", described, f"{settings.name} has {true}", "leave it as it was"
            )
    if settings.cutout > source.facts.image_size:
        rule = f"is more than the {source.facts.image_size} pixels of an image's side"
        raise ConfigError("dataset.cutout", settings.cutout, rule)
    return source
