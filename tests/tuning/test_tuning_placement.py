"""Cores and parts of GPUs of real processes, on Ray."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable
from typing import Any

import pytest
from harness import Watch, make_plan, named
from pinned_toys import Placed

from hrfs.experiment.cluster import ClusterSettings, NodeAllocation
from hrfs.experiment.cores import CoreShare
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import WorkerInfo

pytestmark = pytest.mark.ray

RunCounter = Callable[..., tuple[Any, Watch, Any]]
CORES = len(os.sched_getaffinity(0))


def metric(watch: Watch, worker: str, name: str) -> set[float]:
    """The values that its slices reported."""
    return {r.metrics[name] for r in watch.slices if r.worker == worker}


@pytest.mark.skipif(CORES < 2, reason="needs two cores")
def test_workers_of_two_nodes_of_one_machine_keep_to_unlike_cores(
    run_counter: RunCounter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hrfs")
    _, watch, _ = run_counter(make_plan(trials=4), named("middle", "slow"), trainable=Placed)
    workers = ("middle/cpu:0", "slow/cpu:0")
    assert [metric(watch, worker, "cpus") for worker in workers] == [{1.0}, {1.0}]
    first, second = (metric(watch, worker, "first_cpu") for worker in workers)
    assert len(first) == len(second) == 1
    assert first != second
    told = [line for line in caplog.messages if "keeps to the cores" in line]
    (core,) = first
    assert f"worker middle/cpu:0 keeps to the cores {core:g} of its machine" in told
    assert len(told) == 2


def test_workers_may_use_any_core_if_told_so(run_counter: RunCounter) -> None:
    cluster = named("middle", "slow", pin_cores=False)
    _, watch, _ = run_counter(make_plan(trials=2), cluster, trainable=Placed)
    assert {r.metrics["cpus"] for r in watch.slices} == {CORES}


def test_more_workers_than_cores_are_refused_with_both_numbers(ray_cluster: Any) -> None:
    import ray

    from hrfs.tuning.allocation import Bundle
    from hrfs.tuning.cores import require_cores

    node = ray.nodes()[0]["NodeID"]
    info = WorkerInfo("box/cpu:0", "cpu", "box", 100_000)
    bundle = Bundle(info, node, {}, CoreShare(100_000, ((100_000, 1),), required=True))
    with pytest.raises(ConfigError) as error:
        require_cores([bundle], ClusterSettings(mode="address", pin_cores=True))
    assert str(error.value).startswith(
        f"cluster.pin_cores=true: the workers of box take 100000 cores and it has {CORES} for them"
    )


def test_two_workers_share_a_gpu(ray_cluster: Any, run_counter: RunCounter) -> None:
    """Ray's GPU here is a number only: two processes get it at the same time."""
    node = ray_cluster.add_node(
        num_cpus=2, num_gpus=1, labels={"hrfs-node": "box"}, object_store_memory=80 * 2**20
    )
    try:
        how = NodeAllocation(gpus_per_worker=0.5)
        cluster = ClusterSettings("address", allocation={"box": how}, default_allocation=None)
        plan, constants = make_plan(trials=4), {"seconds": 0.01}
        _, watch, _ = run_counter(plan, cluster, trainable=Placed, constants=constants)
    finally:
        ray_cluster.remove_node(node)
    assert [(w.name, w.kind, w.gpus) for w in watch.workers] == [
        ("box/gpu:0", "gpu/2", 0.5),
        ("box/gpu:1", "gpu/2", 0.5),
    ]
    spans = {w.name: [r.metrics for r in watch.slices if r.worker == w.name] for w in watch.workers}
    assert {m["gpu"] for mine in spans.values() for m in mine} == {0.0}
    assert any(
        one["began_s"] < other["ended_s"] and other["began_s"] < one["ended_s"]
        for one, other in itertools.product(*spans.values())
    )
