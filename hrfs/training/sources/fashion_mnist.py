"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): four files in the IDX format.

Found either directly in ``root`` (Debian's package dataset-fashion-mnist puts them in
/usr/share/datasets/fashion-mnist) or in torchvision's ``root/FashionMNIST/raw``, as ``.gz`` or
unpacked. The two distributions pack equal files differently (Debian leaves the file name out
of the gzip header), so the MD5 that is checked is that of the unpacked content.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hrfs.experiment.errors import ConfigError
from hrfs.training.sources.base import (
    ImageFacts,
    ImageSource,
    LabelledImages,
    Split,
    require_files,
    require_labels,
)
from hrfs.training.sources.checksums import Checksums, verify
from hrfs.training.sources.fetch import fetch_with_torchvision

FILES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
NUM_CLASSES, IMAGE_SIZE = 10, 28
_UNSIGNED_BYTES = 0x08
"""IDX code of the element type."""


@dataclass(frozen=True, slots=True)
class FashionMnistSource(ImageSource):
    """The four files, each wherever it is found first."""

    root: Path
    checksums: Checksums = field(default_factory=Checksums)

    @property
    def facts(self) -> ImageFacts:
        return ImageFacts(NUM_CLASSES, channels=1, image_size=IMAGE_SIZE)

    def missing(self) -> tuple[Path, ...]:
        names = (name for pair in FILES.values() for name in pair)
        return tuple(self.root / f"{name}.gz" for name in names if self._find(name) is None)

    def download(self) -> None:
        fetch_with_torchvision("FashionMNIST", self.root, self._remedy)

    def read(self, split: Split) -> LabelledImages:
        images_name, labels_name = FILES[split]
        image_file, images = self._read_file(images_name, dimensions=3)
        label_file, labels = self._read_file(labels_name, dimensions=1)
        if images.shape != (len(labels), IMAGE_SIZE, IMAGE_SIZE):
            raise ConfigError(
                "dataset.root",
                image_file,
                f"has images of shape {images.shape}, expected "
                f"{(len(labels), IMAGE_SIZE, IMAGE_SIZE)}",
                self._remedy,
            )
        require_labels(label_file, labels.astype(np.int64), NUM_CLASSES)
        return LabelledImages(images[..., np.newaxis], labels.astype(np.int64))

    def files(self, split: Split) -> tuple[Path, ...]:
        return (*map(self._existing, FILES[split]), *self.checksums.files)

    def size_bytes(self, split: Split) -> int:
        file = self._existing(FILES[split][0])
        opener = gzip.open if file.suffix == ".gz" else open
        with self._told(file), opener(file, "rb") as stream:
            samples, _, _ = parse_idx_head(stream.read(idx_head_bytes(3)), dimensions=3)
        return self.facts.size_bytes(samples)

    def _find(self, name: str) -> Path | None:
        folders = (self.root, self.root / "FashionMNIST" / "raw")
        candidates = (folder / file for folder in folders for file in (f"{name}.gz", name))
        return next((file for file in candidates if file.is_file()), None)

    @property
    def _remedy(self) -> str:
        return (
            "install Debian's dataset-fashion-mnist and set "
            "dataset.root=/usr/share/datasets/fashion-mnist, or put the four .gz files of "
            f"https://github.com/zalandoresearch/fashion-mnist into {self.root}, or set "
            "dataset.download=true where there is a network"
        )

    def _existing(self, name: str) -> Path:
        file = self._find(name)
        if file is None:
            require_files(self.root, (self.root / f"{name}.gz",), self._remedy)
            raise AssertionError("require_files raises for a missing file")
        return file

    def _read_file(self, name: str, dimensions: int) -> tuple[Path, NDArray[np.uint8]]:
        file = self._existing(name)
        with self._told(file):
            data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            verify(file, name, data, self.checksums.expected(MD5), self._remedy)
            return file, parse_idx(data, dimensions)

    @contextlib.contextmanager
    def _told(self, file: Path) -> Iterator[None]:
        try:
            yield
        except (EOFError, gzip.BadGzipFile, zlib.error, IdxError) as error:
            raise ConfigError(
                "dataset.root", file, f"is cut short or no IDX file ({error})", self._remedy
            ) from error


class IdxError(ValueError):
    """Data that are not in the IDX format, or fewer or more than their header says."""


def parse_idx(data: bytes, dimensions: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in ``data``, read-only, with ``dimensions`` axes.

    Raises:
        IdxError: another element type or number of axes, or a wrong length.
    """
    start = idx_head_bytes(dimensions)
    shape = parse_idx_head(data[:start], dimensions)
    if len(data) - start != math.prod(shape):
        raise IdxError(f"{len(data) - start} bytes of data, expected {math.prod(shape)}")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def idx_head_bytes(dimensions: int) -> int:
    """How long the head of an array with so many axes is."""
    return 4 + 4 * dimensions


def parse_idx_head(head: bytes, dimensions: int) -> tuple[int, ...]:
    """The shape that it tells.

    Raises:
        IdxError: another element type or number of axes, or cut short.
    """
    magic = bytes((0, 0, _UNSIGNED_BYTES, dimensions))
    if head[:4] != magic or len(head) < idx_head_bytes(dimensions):
        raise IdxError(f"it begins with {head[:4]!r}, expected {magic!r}")
    return struct.unpack(f">{dimensions}I", head[4:])
