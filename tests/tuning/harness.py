"""A run of the adapter on the session's cluster, in one call."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from toys import Counter

from hrfs.core.invariants import check
from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.experiment.cluster import ClusterSettings, NodeAllocation
from hrfs.experiment.event_log import EVENTS_NAME, parse_log
from hrfs.experiment.event_replay import rebuild
from hrfs.experiment.launch import TRIALS_FOLDER
from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import (
    ExploitRecord,
    FailureRecord,
    RollbackRecord,
    SliceRecord,
    SliceStart,
    WorkerInfo,
)

ONE_CPU = NodeAllocation(cpus_per_worker=1)


class Watch(Observer):
    """Keeps everything that it is told."""

    def __init__(self) -> None:
        self.workers: list[WorkerInfo] = []
        self.joined: list[str] = []
        self.left: list[str] = []
        self.started: list[SliceStart] = []
        self.slices: list[SliceRecord] = []
        self.exploits: list[ExploitRecord] = []
        self.failures: list[FailureRecord] = []
        self.rollbacks: list[RollbackRecord] = []
        self.ended: dict[int, str] = {}
        self.at_slice: list[Callable[[SliceRecord], None]] = []

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        self.workers = list(workers)

    def on_workers(self, time_s: float, joined: Sequence[WorkerInfo], left: Sequence[str]) -> None:
        self.joined += [worker.name for worker in joined]
        self.left += list(left)

    def on_slice_start(self, start: SliceStart) -> None:
        self.started.append(start)

    def on_slice(self, record: SliceRecord) -> None:
        self.slices.append(record)
        for act in self.at_slice:
            act(record)

    def on_exploit(self, record: ExploitRecord) -> None:
        self.exploits.append(record)

    def on_failure(self, record: FailureRecord) -> None:
        self.failures.append(record)

    def on_rollback(self, record: RollbackRecord) -> None:
        self.rollbacks.append(record)

    def on_trial_end(self, time_s: float, trial: int, reason: str) -> None:
        self.ended[trial] = reason

    def iterations(self) -> dict[int, int]:
        """Sum over the recorded slices of each trial."""
        total: dict[int, int] = {}
        for record in self.slices:
            total[record.trial] = total.get(record.trial, 0) + record.iterations
        return total


def check_nothing_lost(watch: Watch, plan: Plan, most_lost: int) -> None:
    """What must hold at the end of a run in which at most ``most_lost`` slices were lost.

    All trials finish; each trial's records follow on one another, so that no iteration counts
    twice and none is missing; a lost slice is begun again from where it began.
    """
    assert watch.iterations() == dict.fromkeys(range(plan.trials), plan.stop_iterations)
    recorded = [record.slice for record in watch.slices]
    assert len(recorded) == len(set(recorded))
    for trial in range(plan.trials):
        at, end_s = 0, 0.0
        for record in (r for r in watch.slices if r.trial == trial):
            assert (record.from_iteration, record.start_s >= end_s) == (at, True), record
            at, end_s = record.to_iteration, record.end_s
    lost = {failure.slice for failure in watch.failures}
    assert len(lost) == len(watch.failures) <= most_lost
    assert {s.slice for s in watch.started} >= set(recorded)
    assert lost.isdisjoint(recorded)
    assert set(watch.ended.values()) == {"all iterations done"}
    for start in (s for s in watch.started if s.slice in lost):
        again = next(s for s in watch.started if s.trial == start.trial and s.slice > start.slice)
        assert again.from_iteration == start.from_iteration
        assert again.hyperparameters == start.hyperparameters


def check_states(scheduler: Any, plan: Plan) -> None:
    """The last states of :class:`toys.Counter` tell that every iteration was trained once.

    For runs without exploits, since those bring another trial's history along.
    """
    for found in scheduler.contenders():
        history = json.loads((Path(found.checkpoint) / "state.json").read_text())["history"]
        at = 0
        for trial, from_iteration, iterations, _ in history:
            assert (trial, from_iteration) == (found.trial, at)
            at += iterations
        assert at == plan.stop_iterations


def check_replay(scheduler: Any, plan: Plan, folder: Path, policy: str = "hrfs_paper") -> None:
    """The event log of a run in ``folder`` leads to the very state that its driver had."""
    root = folder / TRIALS_FOLDER
    found = parse_log((root / EVENTS_NAME).read_bytes(), "log", str(root))
    replay = rebuild(found, "log", plan, policy)
    assert replay.core.state.trials == scheduler.core.state.trials
    assert replay.core.state.workers == scheduler.core.state.workers
    assert replay.own_failures == scheduler._context.memory.own_failures


def make_plan(**changes: Any) -> Plan:
    """A small population."""
    values: dict[str, Any] = {
        "trials": 6,
        "stop_iterations": 60,
        "interval_iterations": 10,
        "search_space": {"lr": Hyperparameter(Uniform(0.1, 1.0), Uniform(0.05, 2.0))},
        "metric": "score",
    }
    return Plan(**(values | changes))


def named(*nodes: str, **changes: Any) -> ClusterSettings:
    """Only these nodes of the session's cluster, a worker per CPU."""
    return ClusterSettings(
        mode="address",
        allocation=dict.fromkeys(nodes, ONE_CPU),
        default_allocation=None,
        **changes,
    )


@pytest.fixture
def run_counter(ray_cluster: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run trainable ``Counter`` under HRFSScheduler; returns (scheduler, watch, result grid)."""
    from hrfs.tuning.population import fit_population, make_run_config
    from hrfs.tuning.resume import StateCallback
    from hrfs.tuning.scheduler import HRFSScheduler

    def run(
        plan: Plan,
        cluster: ClusterSettings,
        watch: Watch | None = None,
        trainable: Any = Counter,
        constants: dict[str, Any] | None = None,
        policy: str = "hrfs_paper",
        num_to_keep: int | None = None,
        max_failures: int = 3,
        max_staleness: int | None = None,
    ) -> tuple[Any, Watch, Any]:
        watch = watch or Watch()
        scheduler = HRFSScheduler(plan, policy, cluster, [watch], max_failures, max_staleness)
        grid = fit_population(
            trainable,
            plan,
            constants or {},
            scheduler,
            make_run_config(tmp_path, [StateCallback(scheduler)], num_to_keep=num_to_keep),
        )
        check(scheduler.core)
        return scheduler, watch, grid

    return run
