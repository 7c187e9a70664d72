"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in the python version of their archives.

torchvision fetches and unpacks the archives, but is not asked to read them: its reader
unpickles whatever a file contains, and these files come from elsewhere. The one here lets a
pickle build numpy arrays and nothing else.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrfs.experiment.errors import ConfigError
from hrfs.training.sources.base import (
    ImageFacts,
    ImageSource,
    LabelledImages,
    Split,
    joined,
    require_files,
    require_labels,
)
from hrfs.training.sources.checksums import Checksums, verify
from hrfs.training.sources.fetch import fetch_with_torchvision

IMAGE_SIZE = 32
PIXELS = 3 * IMAGE_SIZE * IMAGE_SIZE


@dataclass(frozen=True, slots=True)
class CifarVariant:
    """What tells the two datasets apart. ``md5`` is the publisher's, as torchvision has it."""

    name: str
    torchvision_name: str
    folder: str
    url: str
    num_classes: int
    label_key: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    md5: dict[str, str] = field(hash=False)


CIFAR10 = CifarVariant(
    name="cifar10",
    torchvision_name="CIFAR10",
    folder="cifar-10-batches-py",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    num_classes=10,
    label_key="labels",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test=("test_batch",),
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
)
CIFAR100 = CifarVariant(
    name="cifar100",
    torchvision_name="CIFAR100",
    folder="cifar-100-python",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    num_classes=100,
    label_key="fine_labels",
    train=("train",),
    test=("test",),
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
)


@dataclass(frozen=True, slots=True)
class CifarSource(ImageSource):
    """Files in ``root/<folder of the archive>``."""

    variant: CifarVariant
    root: Path
    checksums: Checksums = field(default_factory=Checksums)

    @property
    def facts(self) -> ImageFacts:
        return ImageFacts(self.variant.num_classes, channels=3, image_size=IMAGE_SIZE)

    def missing(self) -> tuple[Path, ...]:
        names = (*self.variant.train, *self.variant.test)
        return tuple(file for file in map(self._path, names) if not file.is_file())

    def download(self) -> None:
        fetch_with_torchvision(self.variant.torchvision_name, self.root, self._remedy)

    def read(self, split: Split) -> LabelledImages:
        return joined(self.parts(split))

    def parts(self, split: Split) -> Iterator[LabelledImages]:
        table = self.checksums.expected(self.variant.md5)
        return (self._read_file(file, table) for file in self._batch_files(split))

    def files(self, split: Split) -> tuple[Path, ...]:
        return (*self._batch_files(split), *self.checksums.files)

    def size_bytes(self, split: Split) -> int:
        # they hold the images as they are, and say more of each than its label
        return sum(file.stat().st_size for file in self._batch_files(split))

    def _batch_files(self, split: Split) -> list[Path]:
        names = self.variant.train if split == "train" else self.variant.test
        files = [self._path(name) for name in names]
        absent = tuple(file for file in files if not file.is_file())
        require_files(self.root, absent, self._remedy)
        return files

    def _path(self, name: str) -> Path:
        return self.root / self.variant.folder / name

    @property
    def _remedy(self) -> str:
        return (
            f"fetch {self.variant.url} and unpack it in {self.root}, or set "
            "dataset.download=true where there is a network"
        )

    def _read_file(self, file: Path, table: Mapping[str, str]) -> LabelledImages:
        data = file.read_bytes()
        verify(file, file.name, data, table, self._remedy)
        try:
            images, labels = _decode(_NumpyUnpickler(data).load(), self.variant.label_key)
        except Exception as error:  # a damaged pickle raises nearly anything
            raise ConfigError(
                "dataset.root",
                file,
                f"is cut short or is no file of {self.variant.name} ({error})",
                self._remedy,
            ) from error
        require_labels(file, labels, self.variant.num_classes)
        return LabelledImages(images, labels)


def _decode(batch: Any, label_key: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 32, 32, 3) and labels (n,) of one batch file; a row is red, green, blue."""
    rows, labels = np.asarray(batch["data"]), np.asarray(batch[label_key], dtype=np.int64)
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != PIXELS:
        raise ValueError(f"data has shape {rows.shape} and type {rows.dtype}")
    if labels.shape != (len(rows),):
        raise ValueError(f"{labels.shape} labels for {len(rows)} images")
    planes = rows.reshape(-1, 3, IMAGE_SIZE, IMAGE_SIZE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


class _NumpyUnpickler(pickle.Unpickler):
    """Builds numpy arrays and Python's own containers; refuses every other name."""

    # Pickles name these by places that moved between numpy versions (numpy.core, numpy._core),
    # so only the last part of the name is looked up, and always given our own numpy's function.
    _ALLOWED = {  # noqa: RUF012
        "_reconstruct": np.empty(0).__reduce__()[0],
        "_frombuffer": np.empty(0).__reduce_ex__(5)[0],
        "ndarray": np.ndarray,
        "dtype": np.dtype,
    }

    def __init__(self, data: bytes) -> None:
        # The archives were pickled by Python 2, whose texts are bytes.
        super().__init__(io.BytesIO(data), encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in self._ALLOWED:
            return self._ALLOWED[name]
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 writes bytes
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
