"""What the workers of a kind have in common.

Each number of a new worker (the logarithm of its speed, its overhead, its migration) starts
from the workers of its kind: their weighted mean, and a spread that is learned from them. With
weights ``w``, values ``v`` and their own variances ``p``, the spread between workers is by
moments (DerSimonian and Laird 1986)

    T = (n0 P0 W / k + max(0, sum w (v - mean)^2 - sum w p (1 - w / W)))
        / (n0 W / k + W - sum w^2 / W)

where ``W = sum w`` and ``k`` is the number of workers: ``n0`` imagined workers of variance ``P0``
keep it honest while there are few.
"""

from __future__ import annotations

from typing import NamedTuple

PRIOR_WORKERS = 1.0
"""``n0``: imagined workers that are as far apart as the caller's prior says."""


class Common(NamedTuple):
    """Mean of the workers' values, and the variance of a new worker's value about it."""

    mean: float
    variance: float


class Pool:
    """Running weighted moments of one number over workers; a worker's value may be replaced."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, float, float]] = {}
        self._origin = 0.0
        self._clear()

    def put(self, worker: str, value: float, variance: float, weight: float = 1.0) -> None:
        """Set the worker's value, its own variance and its weight."""
        if not self._values:
            self._origin = value
        old = self._values.get(worker)
        if old is not None:
            self._add(*old, sign=-1.0)
        new = (value - self._origin, variance, weight)
        self._values[worker] = new
        self._add(*new, sign=1.0)

    def drop(self, worker: str) -> None:
        """Take the worker's value out; nothing happens if it has none."""
        old = self._values.pop(worker, None)
        if old is not None:
            self._add(*old, sign=-1.0)
        if not self._values:
            self._clear()  # rounding is all that is left

    def common(self, prior_variance: float) -> Common | None:
        """Mean and spread for a new worker; None if no worker has a value."""
        count = len(self._values)
        if count == 0:
            return None
        mean = self._wv / self._w
        scatter = max(self._wvv - self._w * mean * mean, 0.0)
        own = self._wp - self._wwp / self._w
        free = self._w - self._ww / self._w
        prior = PRIOR_WORKERS * self._w / count
        spread = (prior * prior_variance + max(scatter - own, 0.0)) / (prior + free)
        return Common(self._origin + mean, spread * (1.0 + 1.0 / count))

    def _clear(self) -> None:
        self._w = self._ww = self._wv = self._wvv = self._wp = self._wwp = 0.0

    def _add(self, value: float, variance: float, weight: float, sign: float) -> None:
        weighted = sign * weight
        self._w += weighted
        self._ww += weighted * weight
        self._wv += weighted * value
        self._wvv += weighted * value * value
        self._wp += weighted * variance
        self._wwp += weighted * weight * variance
