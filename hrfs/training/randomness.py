"""Random streams that depend on (seed, member, iteration) alone, not on how slices were cut.

A member is a trial by its number within its population, whose seed is ``seed``.
"""

from __future__ import annotations

import enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Identity = tuple[int, int]
"""Seed of a trial's population, and the trial's number within it: what its randomness follows
from. :meth:`hrfs.core.populations.Populations.identity` gives it."""


class Stream(enum.IntEnum):
    """What random numbers are for; each purpose has its own independent stream."""

    INITIAL_WEIGHTS = 0
    BATCH_ORDER = 1
    BATCH_CONTENT = 2
    """Augmentation of one batch."""
    STEP = 3
    """What the model draws in one step, e.g. dropout."""
    VALIDATION_SUBSET = 4
    HOLD_OUT = 5
    SYNTHETIC_IMAGES = 6
    TEST_SPLIT = 7


def derive(seed: int, stream: Stream, *parts: int) -> int:
    """A 64-bit seed, a pure function of its arguments (all >= 0)."""
    sequence = np.random.SeedSequence((seed, int(stream), *parts))
    return int(sequence.generate_state(1, np.uint64)[0])


def generator(seed: int, stream: Stream, *parts: int) -> np.random.Generator:
    """A fresh numpy generator for one purpose."""
    return np.random.default_rng(np.random.SeedSequence((seed, int(stream), *parts)))


@lru_cache(maxsize=4)
def epoch_order(seed: int, member: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """Order in which ``member`` visits the training set in ``epoch``; shape (samples,)."""
    order = generator(seed, Stream.BATCH_ORDER, member, epoch).permutation(samples)
    order.setflags(write=False)
    return order


def batch_indices(
    seed: int, member: int, iteration: int, samples: int, batch_size: int
) -> list[int]:
    """Samples of batch ``iteration`` (from 0) of ``member``; the last, short batch is left out.

    Each epoch has ``samples // batch_size`` batches and its own order.
    """
    epoch, position = divmod(iteration, samples // batch_size)
    order = epoch_order(seed, member, epoch, samples)
    chosen: list[int] = order[position * batch_size : (position + 1) * batch_size].tolist()
    return chosen
