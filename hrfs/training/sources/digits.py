"""The 1797 handwritten digits of 8 x 8 grey pixels that scikit-learn carries within it.

From the UCI Optical Recognition of Handwritten Digits set (Alpaydin and Kaynak 1998).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np

from hrfs.experiment.errors import ConfigError
from hrfs.training.randomness import Stream, generator
from hrfs.training.sources.base import ImageFacts, ImageSource, LabelledImages, Split
from hrfs.training.split import held_out_count, hold_out

SAMPLES = 1797
TEST_FRACTION = 0.2
BRIGHTEST = 16
"""scikit-learn's pixels run from 0 to 16."""


@dataclass(frozen=True, slots=True)
class DigitsSource(ImageSource):
    """scikit-learn's set cut once, for ever, into training and test parts (seed 0)."""

    @property
    def facts(self) -> ImageFacts:
        return ImageFacts(num_classes=10, channels=1, image_size=8)

    def count(self, split: Split) -> int:
        if importlib.util.find_spec("sklearn") is None:
            raise ConfigError(
                "dataset.name", "digits", "needs scikit-learn", "pip install scikit-learn"
            )
        test = held_out_count(SAMPLES, TEST_FRACTION)
        return test if split == "test" else SAMPLES - test

    def read(self, split: Split) -> LabelledImages:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        labels = np.asarray(bunch.target, dtype=np.int64)
        train, test = hold_out(labels, TEST_FRACTION, generator(0, Stream.TEST_SPLIT))
        chosen = train if split == "train" else test
        images = np.round(bunch.images[chosen] * (255 / BRIGHTEST)).astype(np.uint8)
        return LabelledImages(images[..., np.newaxis], labels[chosen])
