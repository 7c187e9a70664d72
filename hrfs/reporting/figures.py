"""Figures of a run, each a function of its slice records alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from hrfs.experiment.records import SliceRecord
from hrfs.reporting.costs import Factor, measured_costs


def window_s(records: Sequence[SliceRecord]) -> tuple[float, float]:
    """First start and last end in seconds.

    Raises:
        ValueError: there is no record.
    """
    return min(r.start_s for r in records), max(r.end_s for r in records)


def busy_seconds(records: Sequence[SliceRecord]) -> dict[str, float]:
    """Seconds for which finished slices held each worker."""
    held: dict[str, list[float]] = {}
    for record in records:
        held.setdefault(record.worker, []).append(record.duration_s)
    return {worker: math.fsum(parts) for worker, parts in held.items()}


def iterations_by_worker(records: Sequence[SliceRecord]) -> dict[str, int]:
    """Iterations that each worker finished."""
    done: Counter[str] = Counter()
    for record in records:
        done[record.worker] += record.iterations
    return dict(done)


def iterations_by_trial(records: Sequence[SliceRecord]) -> dict[int, int]:
    """Iterations that each trial did in these records."""
    done: Counter[int] = Counter()
    for record in records:
        done[record.trial] += record.iterations
    return dict(done)


def measured_speeds(records: Sequence[SliceRecord]) -> dict[str, float]:
    """Iterations per second of each worker that finished at least one iteration.

    All seconds for which its slices held it count, so loading, evaluation and saving are part
    of the speed.
    """
    busy = busy_seconds(records)
    done = iterations_by_worker(records)
    return {w: n / busy[w] for w, n in done.items() if n > 0 and busy[w] > 0}


def bound_s(records: Sequence[SliceRecord], factor: Factor | None = None) -> float | None:
    """C*: the least makespan in which these workers could have done this work, in seconds.

    Work: for each trial the iterations that it did, which is the plan's stop for a trial that
    finished. Speeds: as measured (:func:`hrfs.reporting.costs.measured_costs`), each worker as
    if present from first to last. Iterations lost in failed slices are no work. None without a
    measured speed. The method is that of :func:`hrfs.experiment.bounds.least_makespan_s`.
    """
    costs = measured_costs(records, factor)
    return costs.bound_s(costs.workers) if costs.workers else None


def migrations(records: Sequence[SliceRecord]) -> int:
    """Slices that ran on another worker than the same trial's slice before."""
    last: dict[int, str] = {}
    moved = 0
    for record in sorted(records, key=lambda r: (r.start_s, r.slice)):
        moved += last.get(record.trial, record.worker) != record.worker
        last[record.trial] = record.worker
    return moved


def diverged(records: Sequence[SliceRecord]) -> int:
    """Slices whose score came out NaN or infinite."""
    return sum(r.score is not None and not math.isfinite(r.score) for r in records)


def time_to_target_s(
    records: Sequence[SliceRecord], target_score: float | None, mode: str
) -> float | None:
    """Seconds from the first start to the end of the first slice at or beyond the target."""
    if target_score is None or not records:
        return None
    begin_s, _ = window_s(records)
    ends = [
        record.end_s
        for record in records
        if record.score is not None
        and math.isfinite(record.score)
        and (record.score >= target_score if mode == "max" else record.score <= target_score)
    ]
    return min(ends) - begin_s if ends else None


def utilisation(busy_s: Mapping[str, float], makespan_s: float, workers: int) -> float | None:
    """Busy share of ``workers`` workers over the makespan; None if no time passed."""
    if makespan_s <= 0 or workers == 0:
        return None
    return math.fsum(busy_s.values()) / (makespan_s * workers)
