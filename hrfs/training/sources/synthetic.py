"""Images made from a seed, of any size: something to learn where there are no files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrfs.training.randomness import Stream, generator
from hrfs.training.sources.base import (
    ImageFacts,
    ImageSource,
    LabelledImages,
    Split,
    joined,
)

COARSE = 4
"""Each class is a pattern of COARSE x COARSE patches."""
NOISE = 48.0
"""Standard deviation of the noise, of 255."""
TEST_FRACTION = 0.25
PART_BYTES = 32 * 2**20
"""Images that are made at once; as many noises take up four times the space."""


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

    def size_bytes(self, split: Split) -> int:
        return self.facts.size_bytes(self.count(split))

    def read(self, split: Split) -> LabelledImages:
        return joined(self.parts(split))

    def parts(self, split: Split) -> Iterator[LabelledImages]:
        count, patterns = self.count(split), self._patterns()
        at_once = max(1, PART_BYTES // (self.image_size**2 * self.channels))
        # drawn part by part, the noises are those that one great draw would give
        rng = generator(self.seed, Stream.SYNTHETIC_IMAGES, 1 if split == "train" else 2)
        for start in range(0, count, at_once):
            labels = np.arange(start, min(count, start + at_once), dtype=np.int64)
            labels %= self.num_classes
            shape = (len(labels), self.image_size, self.image_size, self.channels)
            images = rng.standard_normal(shape, dtype=np.float32)
            images *= np.float32(NOISE)
            images += patterns[labels]
            np.clip(images, 0, 255, out=images)
            yield LabelledImages(images.astype(np.uint8), labels)

    def _patterns(self) -> NDArray[np.float32]:
        """One image per class, shape (classes, size, size, channels), in [0, 255]."""
        rng = generator(self.seed, Stream.SYNTHETIC_IMAGES, 0)
        shape = (self.num_classes, COARSE, COARSE, self.channels)
        patches = rng.uniform(0, 255, shape).astype(np.float32)
        rows = np.arange(self.image_size) * COARSE // self.image_size
        return patches[:, rows][:, :, rows]
