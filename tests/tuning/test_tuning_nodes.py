"""Processes and whole nodes that are killed at the worst moments, on real Ray nodes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import ONE_CPU, Watch, check_nothing_lost, check_states, make_plan, named
from ray_nodes import add_node, kill_node

from hrfs.core.pbt import PbtSettings
from hrfs.experiment.cluster import ClusterSettings, NodeAllocation

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RunCounter = Callable[..., Any]
ALONE = PbtSettings(quantile=0.0)
"""No exploits."""


LONG = [pytest.param(stage, marks=pytest.mark.soak) for stage in ("save", "load")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stage", ["train", *LONG, "reset"])
def test_a_process_killed_at_any_moment_costs_one_slice(
    run_counter: RunCounter, tmp_path: Path, stage: str
) -> None:
    from faulty_toys import Faulty

    markers = tmp_path / "markers"
    markers.mkdir()
    planted = {"markers": str(markers), "kind": "kill", "stage": stage, "after": 3}
    plan = make_plan(pbt=ALONE)
    scheduler, watch, _ = run_counter(
        plan,
        named("fast", "middle"),
        trainable=Faulty,
        constants={"planted": planted, "seconds": 0.01},
    )
    check_nothing_lost(watch, plan, most_lost=1)
    check_states(scheduler, plan)
    (failure,) = watch.failures
    (marker,) = markers.iterdir()
    assert marker.read_text() == failure.worker
    assert failure.kind == "worker lost"
    assert failure.reason.startswith("worker process died")


def is_alive(name: str) -> bool:
    """Whether Ray knows of a living node of that name."""
    import ray

    return any(n["Alive"] and n["Labels"].get("hrfs-node") == name for n in ray.nodes())


def is_busy(watch: Watch, worker: str) -> bool:
    """Whether a slice is under way on the worker."""
    ended = {r.slice for r in watch.slices} | {f.slice for f in watch.failures}
    return any(s.worker == worker and s.slice not in ended for s in watch.started)


@pytest.mark.timeout(300)
def test_where_the_node_of_the_last_gpu_is_killed_the_cpus_go_on(
    ray_cluster: Any, run_counter: RunCounter
) -> None:
    node = ray_cluster.add_node(
        num_cpus=1, num_gpus=1, labels={"hrfs-node": "lab"}, object_store_memory=80 * 2**20
    )
    ray_cluster.wait_for_nodes()
    watch, killed = Watch(), []

    def kill(record: Any) -> None:
        if not killed and record.worker != "lab/gpu:0" and is_busy(watch, "lab/gpu:0"):
            killed.append(record)
            kill_node(ray_cluster, node)

    watch.at_slice.append(kill)
    one_gpu = NodeAllocation(gpus_per_worker=1, cpus_per_gpu_worker=1)
    cluster = ClusterSettings(
        mode="address",
        allocation={"lab": one_gpu, "fast": ONE_CPU},
        default_allocation=None,
    )
    plan = make_plan(stop_iterations=100, interval_iterations=20, pbt=ALONE)
    try:
        scheduler, watch, _ = run_counter(plan, cluster, watch=watch, constants={"seconds": 0.02})
    finally:
        if not killed:
            ray_cluster.remove_node(node)
    assert killed
    assert {worker.kind for worker in watch.workers} == {"cpu", "gpu"}
    check_nothing_lost(watch, plan, most_lost=1)
    check_states(scheduler, plan)
    assert [failure.worker for failure in watch.failures] == ["lab/gpu:0"]
    after = [r for r in watch.slices if r.start_s > watch.failures[0].time_s]
    assert {r.worker_kind for r in after} == {"cpu"}


class Mender(Watch):
    """Kills the node ``only`` while it is at work, and brings it back when Ray has noticed."""

    def __init__(self, cluster: Any) -> None:
        super().__init__()
        self.cluster, self.back = cluster, False
        self.node = add_node(cluster, "only", 1)
        cluster.wait_for_nodes()

    def on_tick(self, time_s: float) -> None:
        """Called several times a second, whether anything runs or not."""
        if not self.left and len(self.slices) >= 3 and is_busy(self, "only/cpu:0"):
            if self.node is not None:
                kill_node(self.cluster, self.node)
                self.node = None
        elif self.left and not self.back and not is_alive("only"):
            self.back = True
            self.node = add_node(self.cluster, "only", 1)


@pytest.mark.timeout(400)
def test_without_any_worker_it_waits_and_goes_on_when_the_node_is_back(
    ray_cluster: Any, run_counter: RunCounter, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Mender(ray_cluster)
    plan = make_plan(trials=3, stop_iterations=60, interval_iterations=20, pbt=ALONE)
    try:
        with caplog.at_level(logging.WARNING, "hrfs"):
            scheduler, _, _ = run_counter(
                plan, named("only", wait_s=300.0), watch=watch, constants={"seconds": 0.02}
            )
    finally:
        if watch.node is not None:
            ray_cluster.remove_node(watch.node)
    assert watch.back
    check_nothing_lost(watch, plan, most_lost=1)
    check_states(scheduler, plan)
    assert scheduler.gave_up is None
    assert "no worker is left; waiting 300 s for one (cluster.wait_s)" in caplog.text
    assert (watch.left, watch.joined) == (["only/cpu:0"], ["only/cpu:0"])
