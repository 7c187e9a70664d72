"""How far predicted slice times can be trusted: the records of a run, foretold one by one.

Each slice is predicted from the slices that had ended when it began, and only then learned
from (prequential, as by Dawid 1984): what is judged is what a scheduler could have known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from hrfs.core.estimator import Prediction, SpeedEstimator
from hrfs.experiment.records import SliceRecord

NOMINAL_SHARE = 0.8
"""Share of slices that the predicted intervals should hold."""
LEAST_SLICES = 3
"""Slices of a worker that must have ended before its predictions are judged."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """A slice and what was predicted of it when it began."""

    record: SliceRecord
    prediction: Prediction | None
    """None if nothing was known of the worker nor of its kind."""
    slices: int
    """Slices of the worker that had ended."""

    @property
    def inside(self) -> bool:
        """Whether the slice's seconds fell within the predicted interval."""
        known = self.prediction
        return known is not None and known.low_s <= self.record.duration_s <= known.high_s


@dataclass(frozen=True, slots=True)
class Calibration:
    """How many of the predicted intervals held the actual seconds of their slice."""

    slices: int
    """Slices that were judged."""
    inside: int
    below: int
    """Slices that took less than the interval's lower end."""
    above: int
    unjudged: int
    """Slices of workers of which too little was known."""
    median_error: float | None
    """Median of ``|log(actual / predicted)|``; None if no slice was judged."""

    @property
    def share(self) -> float | None:
        """Share of judged slices inside, nominally 0.8; None if no slice was judged."""
        return self.inside / self.slices if self.slices else None


def foretell(records: Sequence[SliceRecord]) -> Iterator[Foretold]:
    """Replay ``records`` through an estimator, in the order of their starts.

    Where a record says how long training took, the rest of it is overhead; where it does not,
    overhead and speed are told apart by the estimator. A slice that ends when another begins
    is known to it.

    Raises:
        ValueError: a record without iterations or without duration.
    """
    for record in records:
        if record.iterations < 1 or not record.duration_s > 0.0:
            raise ValueError(
                f"slice {record.slice} of {record.worker}: {record.iterations} iterations in "
                f"{record.duration_s!r} s; both must be above 0"
            )
    estimator = SpeedEstimator()
    ends = sorted(records, key=lambda record: (record.end_s, record.slice))
    learned = 0
    seen: dict[str, int] = {}
    last_worker: dict[int, str] = {}
    moved: dict[int, bool] = {}
    for record in sorted(records, key=lambda record: (record.start_s, record.slice)):
        while ends[learned].end_s <= record.start_s:
            ended = ends[learned]
            _learn(estimator, ended, moved.pop(ended.slice))
            seen[ended.worker] = seen.get(ended.worker, 0) + 1
            learned += 1
        estimator.join(record.worker, record.worker_kind)
        elsewhere = last_worker.get(record.trial, record.worker) != record.worker
        moved[record.slice] = elsewhere
        last_worker[record.trial] = record.worker
        prediction = estimator.predict(record.worker, record.iterations, elsewhere, record.trial)
        yield Foretold(record, prediction, seen.get(record.worker, 0))


def calibration(records: Sequence[SliceRecord], least_slices: int = LEAST_SLICES) -> Calibration:
    """Count the predicted 80 % intervals that held.

    Only slices of workers with ``least_slices`` finished ones are judged.

    Raises:
        ValueError: a record without iterations or without duration.
    """
    inside = below = above = unjudged = 0
    errors = []
    for foretold in foretell(records):
        known, actual_s = foretold.prediction, foretold.record.duration_s
        if known is None or foretold.slices < least_slices:
            unjudged += 1
            continue
        errors.append(abs(math.log(actual_s / known.seconds)))
        if foretold.inside:
            inside += 1
        elif actual_s < known.low_s:
            below += 1
        else:
            above += 1
    error = median(errors) if errors else None
    return Calibration(len(errors), inside, below, above, unjudged, error)


def _learn(estimator: SpeedEstimator, record: SliceRecord, moved: bool) -> None:
    overhead_s = None
    if record.train_s > 0.0:
        # Rounded records may say that training took a little longer than the slice.
        overhead_s = max(record.duration_s - record.train_s, 0.0)
    estimator.observe(
        record.worker, record.trial, record.iterations, record.duration_s, overhead_s, moved
    )
