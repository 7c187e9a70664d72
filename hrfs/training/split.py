"""Holding a part of the training set out of training, evenly over the classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def held_out_count(samples: int, fraction: float) -> int:
    """How many of ``samples`` are held out."""
    return round(samples * fraction)


def hold_out(
    labels: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Split sample numbers into (kept, held out), both ascending.

    ``held_out_count`` samples are held out; each class gives its share, rounded by largest
    remainder (ties: the smaller label first), drawn at random.

    Args:
        labels: shape (samples,).
        fraction: part to be held out, in (0, 1).
    """
    total = held_out_count(len(labels), fraction)
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * (total / len(labels))
    quota = np.floor(exact).astype(np.int64)
    remainder_order = np.argsort(quota - exact, kind="stable")
    quota[remainder_order[: total - int(quota.sum())]] += 1
    held = np.zeros(len(labels), dtype=bool)
    for label, count in zip(classes, quota, strict=True):
        members = np.flatnonzero(labels == label)
        held[rng.permutation(members)[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
