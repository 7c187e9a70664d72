"""What a dataset's files give: decoded images, without torch."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hrfs.experiment.errors import ConfigError

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Decoded images, shape (samples, height, width, channels), and labels, shape (samples,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


LABEL_BYTES = 8
"""A label is an int64."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a model must know of a dataset. ``image_size``: height and width in pixels."""

    num_classes: int
    channels: int
    image_size: int

    def size_bytes(self, samples: int) -> int:
        """Bytes of so many images and their labels, decoded."""
        return samples * (self.image_size**2 * self.channels + LABEL_BYTES)


def joined(parts: Iterable[LabelledImages]) -> LabelledImages:
    """One after the other; at least one."""
    whole = list(parts)
    images = np.concatenate([part.images for part in whole])
    return LabelledImages(images, np.concatenate([part.labels for part in whole]))


class ImageSource(abc.ABC):
    """Where the images of one dataset come from. Equal sources read equal images.

    Implementations are frozen dataclasses, so that what was decoded can be kept by source.
    ``read`` opens only the files of its split.
    """

    @property
    @abc.abstractmethod
    def facts(self) -> ImageFacts:
        """What is known before anything is read."""

    @abc.abstractmethod
    def read(self, split: Split) -> LabelledImages:
        """Check the files of ``split`` and decode them.

        Raises:
            ConfigError: a file is missing, cut short, altered or not of this dataset.
        """

    def count(self, split: Split) -> int:
        """Number of samples, after the same checks as :meth:`read`."""
        return len(self.read(split))

    def parts(self, split: Split) -> Iterator[LabelledImages]:
        """The same images in the same order, in parts that fit into memory one at a time."""
        yield self.read(split)

    def files(self, split: Split) -> tuple[Path, ...]:
        """The files on which the images depend, if there are any.

        Raises:
            ConfigError: a file is missing.
        """
        return ()

    @abc.abstractmethod
    def size_bytes(self, split: Split) -> int:
        """Bytes that images and labels take up when decoded, or a little more; decodes nothing.

        Raises:
            ConfigError: a file is missing, or its head is no head of such a file.
        """

    def missing(self) -> tuple[Path, ...]:
        """Files that are not there."""
        return ()

    def download(self) -> None:
        """Fetch the files; called only if some are missing.

        Raises:
            ConfigError: they could not be fetched.
        """
        raise NotImplementedError(f"{type(self).__name__} has no files to fetch")


def require_files(root: Path, missing: tuple[Path, ...], remedy: str) -> None:
    """Raise :class:`ConfigError` if ``root`` is no folder or a file is missing."""
    if root.exists() and not root.is_dir():
        raise ConfigError("dataset.root", root, "is not a folder", remedy)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConfigError("dataset.root", root, f"{missing[0]}{more} is missing", remedy)


def require_labels(file: Path, labels: NDArray[np.int64], num_classes: int) -> None:
    """Raise :class:`ConfigError` unless all labels lie in [0, num_classes)."""
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ConfigError(
            "dataset.root",
            file,
            f"has labels from {labels.min()} to {labels.max()}, expected 0 to {num_classes - 1}",
        )
