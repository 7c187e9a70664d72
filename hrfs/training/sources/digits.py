"""The 1797 handwritten digits of 8 x 8 grey pixels that scikit-learn carries within it.

From the UCI Optical Recognition of Handwritten Digits set (Alpaydin and Kaynak 1998).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

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
        if _package() is None:
            raise ConfigError(
                "dataset.name", "digits", "needs scikit-learn", "pip install scikit-learn"
            )
        test = held_out_count(SAMPLES, TEST_FRACTION)
        return test if split == "test" else SAMPLES - test

    def size_bytes(self, split: Split) -> int:
        return self.facts.size_bytes(self.count(split))

    def read(self, split: Split) -> LabelledImages:
        pixels, labels = read_table()
        train, test = hold_out(labels, TEST_FRACTION, generator(0, Stream.TEST_SPLIT))
        chosen = train if split == "train" else test
        images = np.round(pixels[chosen] * (255 / BRIGHTEST)).astype(np.uint8)
        return LabelledImages(images[..., np.newaxis], labels[chosen])


def read_table() -> tuple[np.ndarray, np.ndarray]:
    """All samples in scikit-learn's order: pixels from 0 to 16, float64 (1797, 8, 8), and labels,
    int64 (1797,).

    From the file in its package if it is where it has always been: to import scikit-learn, and
    SciPy with it, takes two seconds of each worker's process.
    """
    package = _package()
    file = package / "datasets" / "data" / "digits.csv.gz" if package is not None else None
    if file is None or not file.is_file():
        from sklearn.datasets import load_digits

        bunch = load_digits()
        return bunch.images, np.asarray(bunch.target, dtype=np.int64)
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)


def _package() -> Path | None:
    """Folder of scikit-learn, which is not imported for that; None without it."""
    spec = importlib.util.find_spec("sklearn")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent
