"""A simulated workload out of the slices of a real run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence

import numpy as np

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import SliceRecord
from hrfs.simulator.measured import Measured, measure
from hrfs.simulator.rules import check
from hrfs.simulator.spec import SimulatedWorker, Workload

WARM_UP = 1.2
"""A worker's first slice is taken to warm it up if it took so many times as long as expected."""


def workload_from_run(
    records: Sequence[SliceRecord],
    trials: int,
    stop_iteration: int,
    interval: int,
    gone: Collection[str] = (),
    seeds: Sequence[int] | None = None,
) -> Workload:
    """The cluster and the populations that ``records`` tell of.

    Time 0 is the run's first start. A worker joins when its first slice began, or a later one
    for whose process it had waited longer than it had worked. If that slice took much longer
    than by the worker's speed, the worker is slower by that factor for as long as it lasted.
    The noise of slice n is that of slice n of the run. Trials that were never measured cost
    the median.

    Args:
        records: finished slices, in any order.
        trials: size of the population, or of each.
        stop_iteration: iterations of each trial.
        interval: K in iterations.
        gone: workers that had left when the run ended; they leave after their last slice.
        seeds: one for each population; None is one population.

    Raises:
        ConfigError: no slice has finished, one does not say how long training took, or its
            trial is not one of the populations.
    """
    done = sorted(
        (r for r in records if r.iterations > 0), key=lambda record: (record.start_s, record.slice)
    )
    if not done:
        rule = "no slice of the run has finished, so no speed is known"
        raise ConfigError("slices", 0, rule, "let it run until each worker has finished a few")
    all_trials = trials * (1 if seeds is None else len(seeds))
    _check_records(done, all_trials)
    begin_s, done = done[0].start_s, _once_ready(done)
    measured = measure(done)
    factors = measured.trial_factors
    workload = Workload(
        trials=trials,
        stop_iteration=stop_iteration,
        interval=interval,
        workers=_workers(done, measured, gone, begin_s),
        migration_s=measured.migration_s,
        duration_factors=_in_order(measured, done),
        work_factor=tuple(factors.get(t, 1.0) for t in range(all_trials)) if factors else None,
        seeds=None if seeds is None else tuple(seeds),
    )
    check(workload)
    return workload


def dealt_anew(workload: Workload, seed: int) -> Workload:
    """The same noise on other slices: its factors in an order drawn by ``seed``."""
    factors = np.random.default_rng(seed).permutation(workload.duration_factors)
    return dataclasses.replace(workload, seed=seed, duration_factors=tuple(factors.tolist()))


def _check_records(records: Sequence[SliceRecord], trials: int) -> None:
    for record in records:
        for name in ("duration_s", "train_s"):
            if not 0 < getattr(record, name) < math.inf:
                rule = f"must be above 0 and finite, but is not for slice {record.slice}"
                remedy = "give the slices.csv of a run"
                raise ConfigError(name, getattr(record, name), rule, remedy)
        if record.trial >= trials:
            rule = f"slice {record.slice} is of it, but the population has {trials} trials"
            raise ConfigError("trial", record.trial, rule, "give the slices.csv of this run")


def _once_ready(records: Sequence[SliceRecord]) -> list[SliceRecord]:
    """The records without what a worker did before it had a process to stay.

    Ray may give a worker's first process to another, and start a new one for the worker's next
    slice. Slices are numbered as they are decided, so one that began after a later one had
    waited, and by at least that much. What came before a wait that was longer is left out.
    """
    waited_s, earliest_s = {}, math.inf
    for record in sorted(records, key=lambda record: -record.slice):
        earliest_s = min(earliest_s, record.start_s)
        waited_s[record.slice] = record.start_s - earliest_s
    worked_s: dict[str, float] = {}
    kept: dict[str, list[SliceRecord]] = {}
    for record in records:
        before_s = worked_s.get(record.worker, 0.0)
        if waited_s[record.slice] > before_s:
            kept[record.worker] = []
        kept.setdefault(record.worker, []).append(record)
        worked_s[record.worker] = before_s + record.duration_s
    ready = [record for mine in kept.values() for record in mine]
    return sorted(ready, key=lambda record: (record.start_s, record.slice))


def _workers(
    records: Sequence[SliceRecord], measured: Measured, gone: Collection[str], begin_s: float
) -> tuple[SimulatedWorker, ...]:
    """The workers in the order of their names, so that equal ones are served alike each time."""
    workers = []
    for name in sorted({record.worker for record in records}):
        mine = [record for record in records if record.worker == name]
        joins_s = mine[0].start_s - begin_s
        workers.append(
            SimulatedWorker(
                name=name,
                kind=mine[0].worker_kind,
                seconds_per_iteration=measured.seconds_per_iteration[name],
                slice_overhead_s=measured.overhead_s[name],
                joins_at_s=joins_s,
                leaves_at_s=mine[-1].end_s - begin_s if name in gone else None,
                speed_changes=_warm_up(mine[0], measured, joins_s),
            )
        )
    return tuple(workers)


def _warm_up(
    first: SliceRecord, measured: Measured, joins_s: float
) -> tuple[tuple[float, float], ...]:
    """Slower for as long as the first slice lasted, by what makes that slice last so long."""
    training_s = first.duration_s - measured.overhead_s[first.worker]
    factor = training_s / measured.train_s(first)
    if factor <= WARM_UP:
        return ()
    return ((joins_s, factor), (joins_s + first.duration_s, 1.0))


def _in_order(measured: Measured, records: Sequence[SliceRecord]) -> tuple[float, ...]:
    """The noise of slices 0, 1, 2, ...; 1 where none was measured."""
    last = max(record.slice for record in records)
    return tuple(measured.noise.get(number, 1.0) for number in range(last + 1))
