"""TCA, the paper's measure of what a worker's time costs the others."""

from __future__ import annotations

import math
from collections.abc import Mapping


class TcaEstimator:
    """Measures each worker once, by the duration of its first slice.

    TCA of a worker is the number of slices that all workers measured so far, itself included,
    finish while it finishes one. With d the duration of its first slice and fastest the
    shortest first slice so far (in seconds)::

        r = ceil(d / fastest);   tca = r + sum over measured v of floor(r / tca[v])

    The measure depends on the order in which workers are measured; that is the paper's.
    """

    def __init__(self) -> None:
        self._tca: dict[str, int] = {}
        self._fastest_s = math.inf

    @property
    def measured(self) -> Mapping[str, int]:
        """TCA in slices of each worker that has finished a slice."""
        return self._tca

    def forget(self, worker: str) -> None:
        """The worker's next slice is its first one again; nothing happens if it had none."""
        self._tca.pop(worker, None)

    def observe(self, worker: str, duration_s: float) -> None:
        """Take note of a finished slice; only a worker's first one counts.

        Raises:
            ValueError: the duration is not positive and finite.
        """
        if not (duration_s > 0 and math.isfinite(duration_s)):
            raise ValueError(f"duration_s={duration_s!r} of {worker}: must be positive and finite")
        if worker in self._tca:
            return
        self._fastest_s = min(self._fastest_s, duration_s)
        ratio = math.ceil(duration_s / self._fastest_s)
        self._tca[worker] = ratio + sum(ratio // tca for tca in self._tca.values())
