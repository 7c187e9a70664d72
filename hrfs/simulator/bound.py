"""C* of a spec: the least makespan that its workers and trials allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hrfs.experiment.bounds import least_makespan_s, speed_steps
from hrfs.simulator.spec import Workload


def clairvoyant_bound_s(workload: Workload, iterations: Sequence[int] | None = None) -> float:
    """C* of a schedule that knows the spec, joins, leaves and changes of speed included.

    Not counted are overhead, migration, failures and the noise of single slices, so a run whose
    slices happen to be short may end before.

    Args:
        workload: the spec.
        iterations: the work of each trial; None is ``stop_iteration`` of each.

    Returns:
        Seconds from time 0; infinite if the workers leave before the work can be done.
    """
    speeds = [
        speed_steps(w.seconds_per_iteration, w.joins_at_s, w.leaves_at_s, w.speed_changes)
        for w in workload.workers
    ]
    work = [workload.stop_iteration] * workload.all_trials if iterations is None else iterations
    return least_makespan_s(work, speeds, cost_factors(workload))


def cost_factors(workload: Workload) -> NDArray[np.float64] | None:
    """How many times as long an iteration of each trial takes on each worker.

    Shape (workers, trials): ``work_factor`` times ``kind_factors``; None if both are absent.
    """
    if workload.work_factor is None and not workload.kind_factors:
        return None
    factors = np.ones((len(workload.workers), workload.all_trials))
    if workload.work_factor is not None:
        factors *= np.asarray(workload.by_trial(workload.work_factor))
    for row, worker in zip(factors, workload.workers, strict=True):
        if worker.kind in workload.kind_factors:
            row *= np.asarray(workload.by_trial(workload.kind_factors[worker.kind]))
    return factors


def cost_factor(workload: Workload) -> Callable[[str, int], float] | None:
    """:func:`cost_factors` by the worker's name and the trial."""
    factors = cost_factors(workload)
    if factors is None:
        return None
    row = {worker.name: i for i, worker in enumerate(workload.workers)}
    return lambda worker, trial: float(factors[row[worker], trial])
