"""What an iteration cost on each worker, as measured: the speeds that the bound is made of.

The cost of an iteration may depend on what is trained. Slices of one batch size are one
workload; a trial whose batch size an exploit changed is one job per batch size, which only
lowers the bound. A worker that never ran some workload is taken to cost what fits the workers
and workloads that were measured: ``log cost = a_worker + b_workload``, by least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hrfs.experiment.bounds import least_makespan_s
from hrfs.experiment.records import SliceRecord

T = TypeVar("T")

WORKLOAD = "batch_size"
"""The hyperparameter that changes the seconds of an iteration."""

Factor = Callable[[str, int], float]
"""(worker, trial) to how many times as long an iteration of the trial takes there, where a
model of the cluster says so."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What was done, and what it costs on each worker. A job is all that a trial did of a
    workload.
    """

    workers: tuple[str, ...]
    work: NDArray[np.float64]
    """Iterations of each job, shape (jobs,)."""
    seconds: NDArray[np.float64]
    """Per iteration, shape (workers, workloads)."""
    of_job: NDArray[np.intp]
    """The workload of each job, shape (jobs,)."""
    factors: NDArray[np.float64] | None
    """On the seconds, shape (workers, jobs); None is 1 everywhere."""

    def bound_s(self, workers: Collection[str]) -> float:
        """C* of all the work on ``workers``.

        Raises:
            ValueError: none of them was measured.
        """
        rows = [i for i, name in enumerate(self.workers) if name in workers]
        work = [float(iterations) for iterations in self.work]
        seconds = self.seconds[rows]
        if seconds.shape[1] == 1 and self.factors is None:
            return least_makespan_s(work, [[(0.0, float(1 / s))] for s in seconds[:, 0]])
        costs = seconds[:, self.of_job]
        if self.factors is not None:
            costs = costs * self.factors[rows]
        return least_makespan_s(work, [[(0.0, 1.0)]] * len(rows), costs)


def measured_costs(records: Sequence[SliceRecord], factor: Factor | None = None) -> Costs:
    """Costs of all finished slices: all seconds that they held their workers count.

    So loading, evaluation and saving are part of the cost.
    """
    done = [r for r in records if r.iterations > 0 and r.duration_s > 0]
    row = _numbered(r.worker for r in done)
    column = _numbered(workload(r) for r in done)
    job = _numbered((r.trial, workload(r)) for r in done)
    work = np.zeros(len(job))
    units, seconds = np.zeros((2, len(row), len(column)))
    for r in done:
        name = workload(r)
        pair = row[r.worker], column[name]
        units[pair] += r.iterations * (factor(r.worker, r.trial) if factor else 1.0)
        seconds[pair] += r.duration_s
        work[job[r.trial, name]] += r.iterations
    return Costs(
        workers=tuple(row),
        work=work,
        seconds=filled(seconds, units),
        of_job=np.array([column[name] for _, name in job], dtype=np.intp),
        factors=np.array([[factor(w, trial) for trial, _ in job] for w in row]) if factor else None,
    )


def _numbered(values: Iterable[T]) -> dict[T, int]:
    """Unlike values and their numbers, in the order in which they come first."""
    return {value: i for i, value in enumerate(dict.fromkeys(values))}


def workload(record: SliceRecord) -> Any:
    """What the record's slice had in common with all slices that cost the same."""
    value = record.hyperparameters.get(WORKLOAD)
    return value if isinstance(value, (int, float, str)) else None


def filled(seconds: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:
    """``seconds / units`` of each worker and workload; what was not measured is estimated."""
    measured = units > 0
    if measured.all():
        return seconds / units
    workers, workloads = units.shape
    i, j = np.nonzero(measured)
    logs = np.log(seconds[i, j] / units[i, j])
    middle = logs.mean()
    equations = np.zeros((i.size, workers + workloads))
    equations[np.arange(i.size), i] = equations[np.arange(i.size), workers + j] = 1.0
    fitted = np.linalg.lstsq(equations, logs - middle, rcond=None)[0]
    per_unit: NDArray[np.float64] = np.exp(middle + fitted[:workers, None] + fitted[None, workers:])
    per_unit[i, j] = seconds[i, j] / units[i, j]
    return per_unit
