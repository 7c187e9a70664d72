"""``python -m hrfs.simulate workload=from_run:FOLDER``: a real run again, and what if."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from hrfs.cli.names import require_one_of
from hrfs.cli.simulate_arguments import ReplayRequest
from hrfs.cli.simulate_run_folder import PastRun, read_run
from hrfs.experiment.launch import HRFS, RAY_PBT
from hrfs.experiment.records import SliceRecord, iterations_reached
from hrfs.reporting import figures
from hrfs.simulator.driver import play
from hrfs.simulator.policies import AUTO, NAMES, check_staleness, policy_for
from hrfs.simulator.replay import dealt_anew, workload_from_run
from hrfs.simulator.spec import SimulatedWorker
from hrfs.simulator.what_if import Scenario, changed

T = TypeVar("T")

AS_IT_RAN = "as it ran"
REPLAYED = "replayed"
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Row:
    """A real or a simulated run, to be held against others. Seconds from the first start on."""

    what: str
    scheduler: str
    workers: int
    trials: int
    """Of all populations together."""
    makespan_s: float
    change: float | None
    """makespan / that of the unchanged replay, less 1; None for a run that did not finish."""
    bound_s: float | None
    """C* at the speeds that the slices showed, as in a run's ``summary.json``."""
    ratio: float | None
    worker_hours: float
    """Hours for which workers were there, busy or not: what they cost."""
    worker_hours_by_kind: dict[str, float]


def replay(request: ReplayRequest) -> tuple[dict[str, Any], list[SliceRecord]]:
    """Replay a run unchanged, then with each set of changes.

    Returns:
        The comparison as plain values, and the slices of the last replay.

    Raises:
        ConfigError: anything that the user can mend.
    """
    run = read_run(request.folder)
    base = _base(run, request)
    scenarios = [base, *(changed(base, text, NAMES) for text in request.what_if)]
    kinds = _for_one(RAY_PBT, scenarios, request.scheduler_request, run.request, AUTO)
    limits = _for_one(
        HRFS, scenarios, request.max_staleness_iterations, run.max_staleness_iterations, None
    )
    rows: list[Row] = []
    records: list[SliceRecord] = []
    for scenario, kind, limit in zip(scenarios, kinds, limits, strict=True):
        records = _play(scenario, kind, limit)
        rows.append(_row(scenario, records, rows[0].makespan_s if rows else None))
    real = _row(Scenario(AS_IT_RAN, base.workload, run.scheduler), run.records, rows[0].makespan_s)
    wanted = base.workload.all_trials * run.stop_iteration
    if sum(iterations_reached(run.records).values()) < wanted:
        real = replace(real, change=None)
    rows.insert(0, real)
    compared = {
        "run": str(run.folder),
        "scheduler": run.scheduler,
        "trials": base.workload.all_trials,
        "populations": len(base.workload.populations),
        "workers": len(base.workload.workers),
        "notes": list(run.notes),
        "rows": [asdict(row) for row in rows],
    }
    return compared, records


def _base(run: PastRun, request: ReplayRequest) -> Scenario:
    scheduler = request.scheduler or run.scheduler
    require_one_of("scheduler", scheduler, NAMES)
    workload = workload_from_run(
        run.records, run.trials, run.stop_iteration, run.interval, run.gone, run.seeds
    )
    if request.seed is not None:
        workload = dealt_anew(workload, request.seed)
    title = REPLAYED if scheduler == run.scheduler else f"{REPLAYED}, scheduler={scheduler}"
    return Scenario(title, workload, scheduler)


def _for_one(
    scheduler: str, scenarios: Sequence[Scenario], given: T | None, own: T, others: T
) -> list[T]:
    """The value of a setting that ``scheduler`` alone knows, for each scenario.

    ``own`` is the run's, ``given`` is typed and counts before it. Where no scenario knows the
    setting, what is typed goes to all of them, which will refuse it.
    """
    if given is not None and scheduler not in {scenario.scheduler for scenario in scenarios}:
        return [given] * len(scenarios)
    value = own if given is None else given
    return [value if scenario.scheduler == scheduler else others for scenario in scenarios]


def _play(scenario: Scenario, kind: str, max_staleness: int | None) -> list[SliceRecord]:
    workload = scenario.workload
    policy = policy_for(scenario.scheduler, workload, kind)
    check_staleness(scenario.scheduler, workload, max_staleness)
    return play(workload, policy, max_staleness_iterations=max_staleness).records


def _row(scenario: Scenario, records: Sequence[SliceRecord], unchanged_s: float | None) -> Row:
    """The row of ``records``; None stands for their own makespan."""
    begin_s, end_s = figures.window_s(records)
    makespan_s = end_s - begin_s
    bound_s = figures.bound_s(records)
    hours = _hours(scenario.workload.workers, makespan_s)
    return Row(
        what=scenario.title,
        scheduler=scenario.scheduler,
        workers=len(scenario.workload.workers),
        trials=scenario.workload.all_trials,
        makespan_s=makespan_s,
        change=makespan_s / (unchanged_s or makespan_s) - 1,
        bound_s=bound_s,
        ratio=makespan_s / bound_s if bound_s else None,
        worker_hours=math.fsum(hours.values()),
        worker_hours_by_kind=hours,
    )


def _hours(workers: Sequence[SimulatedWorker], end_s: float) -> dict[str, float]:
    """Hours by kind until ``end_s``. A worker that starts late is waited for, so it counts from
    the first start on, also if its process was not ready.
    """
    hours: dict[str, float] = {}
    for worker in workers:
        until_s = end_s if worker.leaves_at_s is None else min(end_s, worker.leaves_at_s)
        hours[worker.kind] = hours.get(worker.kind, 0.0) + until_s / HOUR_S
    return hours
