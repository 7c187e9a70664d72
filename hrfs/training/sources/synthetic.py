"""Images made from a seed, of any size: something to learn where there are no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrfs.training.randomness import Stream, generator
from hrfs.training.sources.base import ImageFacts, ImageSource, LabelledImages, Split

COARSE = 4
"""Each class is a pattern of COARSE x COARSE patches."""
NOISE = 48.0
"""Standard deviation of the noise, of 255."""
TEST_FRACTION = 0.25


@dataclass(frozen=True, slots=True)
class SyntheticSource(ImageSource):
    """One random patchwork per class, plus noise: learnable, but not by one pixel.

    Beside ``samples`` training images there are a quarter as many test images, at least one
    per class. Classes take turns, so that all are equally common.
    """

    samples: int
    num_classes: int
    channels: int
    image_size: int
    seed: int = 0

    @property
    def facts(self) -> ImageFacts:
        return ImageFacts(self.num_classes, self.channels, self.image_size)

    def count(self, split: Split) -> int:
        if split == "train":
            return self.samples
        return max(self.num_classes, round(self.samples * TEST_FRACTION))

    def read(self, split: Split) -> LabelledImages:
        count = self.count(split)
        labels = np.arange(count, dtype=np.int64) % self.num_classes
        rng = generator(self.seed, Stream.SYNTHETIC_IMAGES, 1 if split == "train" else 2)
        shape = (count, self.image_size, self.image_size, self.channels)
        noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(NOISE)
        images = np.clip(self._patterns()[labels] + noise, 0, 255)
        return LabelledImages(images.astype(np.uint8), labels)

    def _patterns(self) -> NDArray[np.float32]:
        """One image per class, shape (classes, size, size, channels), in [0, 255]."""
        rng = generator(self.seed, Stream.SYNTHETIC_IMAGES, 0)
        shape = (self.num_classes, COARSE, COARSE, self.channels)
        patches = rng.uniform(0, 255, shape).astype(np.float32)
        rows = np.arange(self.image_size) * COARSE // self.image_size
        return patches[:, rows][:, :, rows]
