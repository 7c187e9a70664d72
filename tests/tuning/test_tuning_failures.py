"""Real processes and nodes that die, join and fail, in the middle of a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from harness import Watch, make_plan, named
from ray_nodes import add_node

from hrfs.core.state import RunningSlice
from hrfs.experiment.cluster import ClusterSettings

pytestmark = pytest.mark.ray

RunCounter = Callable[..., Any]


def planted(kind: str, tmp_path: Path, **more: Any) -> dict[str, Any]:
    """Config of a fault that happens once per trial, in its slice after iteration 10."""
    markers = tmp_path / "markers"
    markers.mkdir()
    fault = {"kind": kind, "markers": str(markers), "trials": [1], "from_iteration": 10}
    return {"fault": fault | more, "seconds": 0.001}


def test_a_killed_process_costs_the_slice_under_way(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    # Long enough for the worker's node to be asked, and the worker to come back.
    constants = planted("kill", tmp_path) | {"seconds": 0.1}
    _, watch, _ = run_counter(make_plan(), named("fast", "middle"), constants=constants)
    assert watch.iterations() == dict.fromkeys(range(6), 60)
    (failure,) = watch.failures
    assert failure.trial == 1
    assert failure.reason.startswith("worker process died")
    assert watch.left == [failure.worker]
    assert watch.joined == [failure.worker]
    pids = {record.metrics["pid_of"] for record in watch.slices}
    assert len(pids) <= 3 + 1, "one process per worker and one per failure"
    lost = next(s for s in watch.started if s.slice == failure.slice)
    again = next(s for s in watch.started if s.trial == 1 and s.slice > lost.slice)
    assert again.from_iteration == lost.from_iteration
    assert again.hyperparameters == lost.hyperparameters


def test_an_exception_in_training_is_retried(run_counter: RunCounter, tmp_path: Path) -> None:
    constants = planted("raise", tmp_path)
    _, watch, _ = run_counter(make_plan(), named("fast", "middle"), constants=constants)
    assert watch.iterations() == dict.fromkeys(range(6), 60)
    (failure,) = watch.failures
    assert failure.reason == "RuntimeError: planted failure"
    assert watch.left == [], "an exception is not the worker's fault"


def test_a_trial_that_always_fails_is_given_up_and_the_others_go_on(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    constants = planted("raise", tmp_path, always=True)
    _, watch, _ = run_counter(make_plan(), named("fast"), constants=constants, max_failures=1)
    # Its slices fail from iteration 10 on: it ends where the slice that passed 10 left it.
    assert 10 <= watch.iterations()[1] <= 15
    assert {n: i for n, i in watch.iterations().items() if n != 1} == dict.fromkeys(
        (0, 2, 3, 4, 5), 60
    )
    assert watch.ended[1] == "gave up: RuntimeError: planted failure"
    assert len(watch.failures) in (2, 3), "one more if both were on one worker: is it to blame?"


@pytest.mark.soak
def test_a_mistake_that_meets_every_trial_ends_the_run_soon(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    constants = planted("raise", tmp_path, always=True, trials=list(range(6)), from_iteration=0)
    scheduler, watch, _ = run_counter(
        make_plan(), named("fast"), constants=constants, max_failures=2
    )
    assert scheduler.gave_up is not None
    assert "slices all failed; the last: RuntimeError: planted failure" in scheduler.gave_up
    assert len(watch.failures) < 6


def test_one_bad_worker_is_no_reason_to_give_up() -> None:
    from hrfs.tuning.losses import Losses

    workers = [SimpleNamespace(name="good"), SimpleNamespace(name="bad")]
    context: Any = SimpleNamespace(
        memory=SimpleNamespace(own_failures={0: 2, 1: 1}),
        core=SimpleNamespace(state=SimpleNamespace(leader=0, trials={})),
        pool=SimpleNamespace(workers=workers),
        cluster=ClusterSettings(),
    )
    losses = Losses(context, print, max_failures=2)
    losses._failed_on = {"bad"}
    assert losses.hopeless() is None
    losses._failed_on = {"bad", "good"}
    assert (losses.hopeless() or "").startswith("the first 3 slices all failed")
    context.core.state.leader = 10
    assert losses.hopeless() is None


def test_a_result_of_a_slice_that_was_abandoned_is_late() -> None:
    from hrfs.tuning.inbound import Inbound

    under_way = {1: RunningSlice(9, 1, "w", 10, 5, 0.0)}
    context: Any = SimpleNamespace(cluster=ClusterSettings(), slice_of=under_way.get)
    inbound = Inbound(context, max_failures=2)
    assert inbound.is_late(1, {"config/hrfs/slice": 8})
    assert not inbound.is_late(1, {"config/hrfs/slice": 9})
    assert not inbound.is_late(2, {"config/hrfs/slice": 8}), "nothing is expected of trial 2"


@pytest.mark.soak
def test_a_node_that_joins_later_brings_workers(ray_cluster: Any, run_counter: RunCounter) -> None:
    watch, added = Watch(), []

    def join(record: Any) -> None:
        if not added:
            added.append(add_node(ray_cluster, "late", 1))

    watch.at_slice.append(join)
    # A name that is not there yet is no reason to refuse a node that is: see the default.
    cluster = named("slow", reserved_cpus=2)
    cluster = type(cluster)(
        mode="address", allocation={}, default_allocation=cluster.allocation["slow"]
    )
    plan = make_plan(stop_iterations=300, interval_iterations=30)
    try:
        run_counter(plan, cluster, watch=watch, constants={"seconds": 0.02})
    finally:
        for node in added:
            ray_cluster.remove_node(node)
    assert watch.joined == ["late/cpu:0"]
    assert any(record.worker == "late/cpu:0" for record in watch.slices)
    assert watch.iterations() == dict.fromkeys(range(6), 300)


def test_a_node_that_dies_takes_its_workers_away_and_no_trial(
    ray_cluster: Any, run_counter: RunCounter
) -> None:
    node = add_node(ray_cluster, "doomed", 1)
    ray_cluster.wait_for_nodes()
    watch, killed = Watch(), []

    def kill(record: Any) -> None:
        busy = any(s.worker == "doomed/cpu:0" for s in watch.started)
        if busy and not killed and record.worker != "doomed/cpu:0":
            killed.append(record.end_s)
            ray_cluster.remove_node(node, allow_graceful=False)

    watch.at_slice.append(kill)
    plan = make_plan(stop_iterations=100, interval_iterations=20)
    _, watch, _ = run_counter(
        plan, named("fast", "doomed"), watch=watch, constants={"seconds": 0.02}
    )
    assert killed
    assert "doomed/cpu:0" in watch.left
    assert watch.iterations() == dict.fromkeys(range(6), 100)
    assert watch.failures[0].worker == "doomed/cpu:0"


def test_a_run_without_workers_gives_up_after_its_wait(
    ray_cluster: Any, run_counter: RunCounter
) -> None:
    node = add_node(ray_cluster, "only", 1)
    ray_cluster.wait_for_nodes()
    watch, killed = Watch(), []

    def kill(record: Any) -> None:
        if not killed:
            killed.append(record)
            ray_cluster.remove_node(node, allow_graceful=False)

    watch.at_slice.append(kill)
    plan = make_plan(trials=2, stop_iterations=100, interval_iterations=20)
    scheduler, watch, _ = run_counter(
        plan, named("only", wait_s=1.0), watch=watch, constants={"seconds": 0.02}
    )
    assert scheduler.gave_up == "no worker came back within cluster.wait_s=1"
    assert not scheduler.finished


def test_a_process_that_dies_between_two_slices_loses_nothing(
    run_counter: RunCounter,
) -> None:
    watch, killed = Watch(), []

    def kill(record: Any) -> None:
        # The trial is saved and its process idle: it dies before or while it is reset.
        if record.trial == 0 and not killed:
            killed.append(int(record.metrics["pid_of"]))
            os.kill(killed[0], signal.SIGKILL)

    watch.at_slice.append(kill)
    _, watch, _ = run_counter(make_plan(), named("slow"), watch=watch)
    assert killed
    assert watch.iterations() == dict.fromkeys(range(6), 60)
    assert len(watch.failures) == 1
