"""Random numbers by their index: the same whoever asks, in whatever order, in any process."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import numpy as np

_BLOCK = 4096


class Purpose(IntEnum):
    """What a stream is for: streams of one seed and unlike purposes are independent."""

    NOISE = 1
    FAILS = 2
    FAILS_AT = 3
    SCORE = 4
    FIRST_HYPERPARAMETERS = 5


class Stream:
    """Number ``i`` depends on (seed, purpose, i) alone.

    Numbers are drawn in blocks, each from a generator of its own, since making a generator
    takes longer than a slice's whole share of a simulation may.
    """

    def __init__(self, seed: int, purpose: Purpose, law: Literal["normal", "uniform"]) -> None:
        self._key = (seed, int(purpose))
        self._law = law
        self._blocks: dict[int, list[float]] = {}

    def __getitem__(self, index: int) -> float:
        """Standard normal, or uniform in [0, 1). ``index`` >= 0."""
        block, place = divmod(index, _BLOCK)
        numbers = self._blocks.get(block)
        if numbers is None:
            numbers = self._blocks[block] = self._draw(block)
        return numbers[place]

    def _draw(self, block: int) -> list[float]:
        rng = np.random.default_rng((*self._key, block))
        drawn = rng.standard_normal(_BLOCK) if self._law == "normal" else rng.random(_BLOCK)
        return [float(number) for number in drawn]
