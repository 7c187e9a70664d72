"""The LightningDataModule of the datasets that come with hrfs.

Images are decoded once per node and kept as bytes; a batch is gathered by index, augmented
if asked and normalised when it is needed, on the device that trains: a GPU's worker has one
core, and would wait for it. Images that have no room there are read by processes of their own,
which work ahead. The test set is read only if a test loader is asked for, which
slices never do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hrfs.training.augment import Augmentation
from hrfs.training.dataset_check import prepare
from hrfs.training.dataset_settings import DatasetSettings
from hrfs.training.devices import CPU, to_device
from hrfs.training.randomness import Stream, generator
from hrfs.training.residency import Place, Residency
from hrfs.training.sources import ImageSource, Split, make_source
from hrfs.training.sources.shared import read_shared
from hrfs.training.split import hold_out

Batch = tuple[Tensor, Tensor]

HERE = Place(CPU, loader_workers=0)
EVALUATION_FACTOR = 4
"""Batches without gradients are this much larger: they keep no activations, and a GPU waits for
its host at each batch of small images."""


class MemoryImages(Dataset[Batch]):
    """Images held in memory as bytes, given out as whole batches.

    ``__getitems__`` returns a finished batch: floats in [-1, 1] of shape (batch, channels,
    height, width), in channels-last memory order because that is how they are stored, and
    labels of shape (batch,). A loader must therefore collate with :func:`as_it_is`. Batches
    lie where the images do, and are the same bit by bit on every device.
    """

    def __init__(
        self,
        source: ImageSource,
        split: Split,
        indices: Tensor,
        augmentation: Augmentation,
        residency: Residency,
        place: Place = HERE,
    ) -> None:
        """
        Args:
            indices: int64, shape (length,), on the CPU: the samples that belong to this set.
            residency: what decides about the place.
            place: where the images are to lie.
        """
        self._source = source
        self._split: Split = split
        self.indices = indices
        self._augmentation = augmentation
        self._residency = residency
        self._device = place.device
        self.loader_workers = place.loader_workers
        """Processes that are to make the batches; 0: the one that trains."""
        at_home = self._device == CPU
        kept = decoded(source, split) if at_home else _copied(source, split, self._device)
        self._images, self._labels = kept

    def on_device(self, device: torch.device) -> MemoryImages:
        """This set with its images on ``device``, or on the CPU if there is no room.

        Raises:
            ConfigError: there is none, and they are to lie there all the same.
        """
        place = self._residency.place(self._source, self._split, device)
        if place == Place(self._device, self.loader_workers):
            return self
        return MemoryImages(
            self._source, self._split, self.indices, self._augmentation, self._residency, place
        )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, positions: list[int]) -> Batch:
        chosen = to_device(self.indices[torch.as_tensor(positions)], self._device)
        images = self._augmentation.apply(self._images[chosen])
        return images.permute(0, 3, 1, 2), self._labels[chosen]

    def __getitem__(self, position: int) -> Batch:
        images, labels = self.__getitems__([position])
        return images[0], labels[0]


def as_it_is(batch: Any) -> Any:
    """Collate function for sets that give whole batches."""
    return batch


@lru_cache(maxsize=4)
def decoded(source: ImageSource, split: Split) -> tuple[Tensor, Tensor]:
    """Images and labels of one split, read on first use and then kept by this process.

    Where all processes of a node share them they must not be written to: it would make copies.
    """
    loaded = read_shared(source, split)
    return _tensor(loaded.images), _tensor(loaded.labels)


def _tensor(array: NDArray[Any]) -> Tensor:
    """A view; a copy of an array that looks into a file's bytes, for such are read-only."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


@lru_cache(maxsize=4)
def _copied(source: ImageSource, split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    images, labels = decoded(source, split)
    return images.to(device), labels.to(device)


@lru_cache(maxsize=4)
def _held_out(source: ImageSource, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Sample numbers for training and for validation, disjoint."""
    _, labels = decoded(source, "train")
    kept, held = hold_out(labels.numpy(), fraction, generator(seed, Stream.HOLD_OUT))
    return torch.from_numpy(kept), torch.from_numpy(held)


class ImageData(LightningDataModule):
    """One of the datasets of :data:`hrfs.training.sources.SOURCES`.

    The arguments are the fields of :class:`~hrfs.training.dataset_settings.DatasetSettings`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = DatasetSettings(**settings)
        self._source = make_source(self.settings)

    def prepare_data(self) -> None:
        """Fetch missing files if ``download`` is set."""
        prepare(self.settings)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training images without those held out, in random order."""
        kept, _ = self._split()
        return self._loader("train", kept, training=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The images held out of the training set."""
        _, held = self._split()
        return self._loader("train", held)

    def test_dataloader(self) -> DataLoader[Batch]:
        """The test set; asking for it opens its files."""
        _, labels = decoded(self._source, "test")
        return self._loader("test", torch.arange(len(labels)))

    def _split(self) -> tuple[Tensor, Tensor]:
        settings = self.settings
        return _held_out(self._source, settings.validation_fraction, settings.split_seed)

    def _loader(self, split: Split, indices: Tensor, training: bool = False) -> DataLoader[Batch]:
        settings = self.settings
        augmentation = (
            Augmentation(settings.augment, settings.cutout) if training else Augmentation()
        )
        residency = Residency(settings.device_resident, settings.loader_workers)
        return DataLoader(
            MemoryImages(self._source, split, indices, augmentation, residency),
            batch_size=settings.batch_size * (1 if training else EVALUATION_FACTOR),
            shuffle=training,
            drop_last=training,
            collate_fn=as_it_is,
        )
