"""The LightningDataModule of the datasets that come with hrfs.

Images are decoded once per process and kept as bytes; a batch is gathered by index, augmented
if asked and normalised when it is needed. The test set is read only if a test loader is asked
for, which slices never do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hrfs.training.augment import crop_and_flip, normalise
from hrfs.training.dataset_check import prepare
from hrfs.training.dataset_settings import DatasetSettings
from hrfs.training.randomness import Stream, generator
from hrfs.training.sources import ImageSource, Split, make_source
from hrfs.training.split import hold_out

Batch = tuple[Tensor, Tensor]


class MemoryImages(Dataset[Batch]):
    """Images held in memory as bytes, given out as whole batches.

    ``__getitems__`` returns a finished batch: floats in [-1, 1] of shape (batch, channels,
    height, width), in channels-last memory order because that is how they are stored, and
    labels of shape (batch,). A loader must therefore collate with :func:`as_it_is`.
    """

    def __init__(self, images: Tensor, labels: Tensor, indices: Tensor, augment: bool) -> None:
        """
        Args:
            images: bytes, shape (samples, height, width, channels).
            labels: int64, shape (samples,).
            indices: int64, shape (length,): the samples that belong to this set.
            augment: whether to crop and flip at random.
        """
        self._images = images
        self._labels = labels
        self.indices = indices
        self._augment = augment

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, positions: list[int]) -> Batch:
        chosen = self.indices[torch.as_tensor(positions)]
        images = self._images[chosen]
        if self._augment:
            images = crop_and_flip(images)
        return normalise(images).permute(0, 3, 1, 2), self._labels[chosen]

    def __getitem__(self, position: int) -> Batch:
        images, labels = self.__getitems__([position])
        return images[0], labels[0]


def as_it_is(batch: Any) -> Any:
    """Collate function for sets that give whole batches."""
    return batch


@lru_cache(maxsize=4)
def decoded(source: ImageSource, split: Split) -> tuple[Tensor, Tensor]:
    """Images and labels of one split, read on first use and then kept by this process."""
    loaded = source.read(split)
    # copies, because arrays that look into a file's bytes are read-only
    return torch.tensor(loaded.images), torch.tensor(loaded.labels)


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
        images, labels = decoded(self._source, split)
        augment = training and self.settings.augment
        return DataLoader(
            MemoryImages(images, labels, indices, augment),
            batch_size=self.settings.batch_size,
            shuffle=training,
            drop_last=training,
            collate_fn=as_it_is,
        )
