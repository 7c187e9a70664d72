"""How nodes are cut into workers; no Ray is started."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.experiment.cluster import (
    ClusterSettings,
    EmulatedWorker,
    NodeAllocation,
    base_kind,
    workers_per_gpu,
)
from hrfs.experiment.cores import CoreShare
from hrfs.experiment.errors import ConfigError
from hrfs.tuning.allocation import Node, cut, read_nodes, require_workers


def entry(node_id: str, host: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {
        "NodeID": node_id,
        "Alive": alive,
        "NodeManagerHostname": host,
        "NodeManagerAddress": f"10.0.0.{node_id}",
        "Resources": resources,
        "Labels": {},
    }


HEAD = Node("1", "head", "10.0.0.1", cpus=8, gpus=0, is_head=True)
GPUS = Node("2", "box", "10.0.0.2", cpus=16, gpus=2, gpu_model="A100")


def names(settings: ClusterSettings, *nodes: Node) -> list[str]:
    return [bundle.info.name for bundle in cut(nodes, settings)]


def test_nodes_are_named_by_label_then_host_and_told_apart() -> None:
    listing = [entry("3", "twin"), entry("2", "twin"), entry("4", "dead", alive=False)]
    listing.append(entry("1", "host") | {"Labels": {"hrfs-node": "mine"}})
    assert [(n.node_id, n.name) for n in read_nodes(listing)] == [
        ("1", "mine"),
        ("2", "twin"),
        ("3", "twin~2"),
    ]


def test_a_node_that_came_back_keeps_its_name_when_what_it_was_before_goes() -> None:
    before, again = entry("9", "slow"), entry("5", "slow")
    held = {"9": "slow"}
    assert {n.node_id: n.name for n in read_nodes([before, again], held)} == {
        "5": "slow~2",
        "9": "slow",
    }
    held = {"5": "slow~2"}
    assert [n.name for n in read_nodes([entry("9", "slow", alive=False), again], held)] == [
        "slow~2"
    ]
    third = entry("2", "slow")
    assert {n.node_id: n.name for n in read_nodes([again, third], held)} == {
        "2": "slow",
        "5": "slow~2",
    }
    assert [n.name for n in read_nodes([again])] == ["slow"], "nobody works there yet"


def test_resources_and_models_are_read() -> None:
    resources = {
        "CPU": 4.0,
        "GPU": 2.0,
        "accelerator_type:H100": 1.0,
        "node:__internal_head__": 1.0,
    }
    (node,) = read_nodes([entry("1", "host", **resources)])
    assert (node.cpus, node.gpus, node.gpu_model, node.is_head) == (4, 2, "H100", True)


def test_auto_makes_a_worker_of_each_gpu_and_one_of_the_cpus_left() -> None:
    bundles = cut([GPUS], ClusterSettings())
    assert [(b.info.name, b.info.kind, dict(b.resources)) for b in bundles] == [
        ("box/gpu:0", "gpu:A100", {"CPU": 1.0, "GPU": 1.0}),
        ("box/gpu:1", "gpu:A100", {"CPU": 1.0, "GPU": 1.0}),
        ("box/cpu:0", "cpu", {"CPU": 14.0}),
    ]
    assert [b.info.on_gpu for b in bundles] == [True, True, False]


def test_the_head_keeps_cpus_for_the_driver_unless_it_has_but_one() -> None:
    (bundle,) = cut([HEAD], ClusterSettings(reserved_cpus=2))
    assert bundle.resources["CPU"] == 6
    (bundle,) = cut([Node("1", "tiny", "ip", cpus=1, gpus=0, is_head=True)], ClusterSettings())
    assert bundle.resources["CPU"] == 1


def test_the_papers_allocation_by_host_or_address() -> None:
    allocation = {
        "10.0.0.2": NodeAllocation(cpus_per_worker=4, gpus_per_worker=1, cpus_per_gpu_worker=2),
        "head": NodeAllocation(cpus_per_worker=3),
    }
    settings = ClusterSettings(mode="address", allocation=allocation, default_allocation=None)
    assert names(settings, HEAD, GPUS, Node("3", "other", "10.0.0.3", 8, 0)) == [
        "head/cpu:0",
        "head/cpu:1",
        "box/gpu:0",
        "box/gpu:1",
        "box/cpu:0",
        "box/cpu:1",
        "box/cpu:2",
    ]


@pytest.mark.parametrize(
    ("part", "workers", "gpus", "kind"),
    [
        (0.5, 4, 0.5, "gpu:A100/2"),
        (0.25, 8, 0.25, "gpu:A100/4"),
        (0.333, 6, 0.3333, "gpu:A100/3"),
        (1 / 6, 12, 0.1666, "gpu:A100/6"),
        (0.9999, 2, 1.0, "gpu:A100"),
        (1, 2, 1.0, "gpu:A100"),
        (2, 1, 2.0, "gpu:A100"),
    ],
)
def test_fractions_of_a_gpu(part: float, workers: int, gpus: float, kind: str) -> None:
    how = NodeAllocation(gpus_per_worker=part, cpus_per_gpu_worker=1)
    bundles = cut([GPUS], ClusterSettings(allocation={"box": how}, default_allocation=None))
    assert [b.info.name for b in bundles] == [f"box/gpu:{i}" for i in range(workers)]
    assert {b.info.kind for b in bundles} == {kind}
    assert all(b.info.on_gpu for b in bundles)
    assert {b.resources["GPU"] for b in bundles} == {b.info.gpus for b in bundles} == {gpus}


def test_fractions_of_a_gpu_are_a_kind_without_a_model_too() -> None:
    how = NodeAllocation(gpus_per_worker=0.5)
    settings = ClusterSettings(allocation={"n": how}, default_allocation=None)
    (first, *_) = cut([Node("1", "n", "ip", cpus=2, gpus=1)], settings)
    assert first.info.kind == "gpu/2"
    kinds = ("gpu", "gpu/2", "gpu:A100", "gpu:A100/2", "cpu")
    assert [base_kind(kind) for kind in kinds] == ["gpu", "gpu", "gpu", "gpu", "cpu"]


@given(st.one_of(st.floats(0.0001, 4.0), st.integers(1, 50).map(lambda n: round(1 / n, 4))))
def test_any_part_of_a_gpu_divides_it_or_is_refused(part: float) -> None:
    near = part <= 1 and abs(round(1 / part) * part - 1) <= 0.002
    if near or part in (1, 2, 3, 4):
        assert workers_per_gpu("key", part) == max(1, round(1 / part))
        return
    with pytest.raises(ConfigError) as error:
        workers_per_gpu("key", part)
    low, high = (float(word) for word in error.value.remedy.split() if word[0].isdigit())
    assert low < part < high
    assert workers_per_gpu("key", low)
    assert workers_per_gpu("key", high)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (0.3, "k=0.3: does not divide a GPU into equal parts; "
         "nearest are 0.25 (4 workers per GPU) and 0.3333 (3 workers per GPU)"),
        (0.75, "k=0.75: does not divide a GPU into equal parts; "
         "nearest are 0.5 (2 workers per GPU) and 1 (1 worker per GPU)"),
        (1.5, "k=1.5: a worker has whole GPUs, or a part of one; nearest are 1 and 2"),
        (0.00005, "k=5e-05: must be 0, or a number of at least 0.0001"),
        (float("inf"), "k=inf: must be 0, or a number of at least 0.0001"),
        (float("nan"), "k=nan: must be 0, or a number of at least 0.0001"),
    ],
)  # fmt: skip
def test_parts_that_do_not_divide_a_gpu_are_refused(part: float, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        workers_per_gpu("k", part)
    assert str(error.value) == message
    how = NodeAllocation(gpus_per_worker=part)
    with pytest.raises(ConfigError, match="gpus_per_worker"):
        cut([GPUS], ClusterSettings(allocation={"box": how}))


def test_workers_know_of_all_workers_on_their_machine() -> None:
    """Nodes of one address are one machine, and the CPUs of GPU workers count."""
    from hrfs.tuning.cores import share_cores

    how = NodeAllocation(cpus_per_worker=3, gpus_per_worker=1)
    twin = Node("4", "twin", GPUS.address, cpus=6, gpus=0)
    settings = ClusterSettings(allocation={"box": how, "twin": NodeAllocation(3)})
    nodes = [HEAD, GPUS, twin]
    shares = {b.info.name: b.share for b in share_cores(cut(nodes, settings), nodes, settings)}
    assert shares["head/cpu:0"] == CoreShare(7, ((7, 1),))
    assert shares["box/gpu:1"] == CoreShare(1, ((1, 2), (3, 6)))
    assert shares["box/cpu:3"] == shares["twin/cpu:0"] == CoreShare(3, ((1, 2), (3, 6)))
    left_alone = replace(settings, pin_cores=False)
    assert all(b.share is None for b in share_cores(cut(nodes, settings), nodes, left_alone))
    insisting = replace(settings, pin_cores=True)
    assert all(b.share.required for b in share_cores(cut(nodes, settings), nodes, insisting))


def test_no_more_gpu_workers_than_cpus_for_them() -> None:
    how = NodeAllocation(gpus_per_worker=1, cpus_per_gpu_worker=12)
    settings = ClusterSettings(allocation={"box": how}, default_allocation=None)
    assert names(settings, GPUS) == ["box/gpu:0"]


@pytest.mark.parametrize(
    ("allocation", "message"),
    [
        (
            {"nowhere": NodeAllocation(1)},
            "cluster.allocation.nowhere=nowhere: no such node; "
            "the cluster has 10.0.0.2, box; name a host or an IP address of the cluster",
        ),
        (
            {"box": NodeAllocation(cpus_per_worker=17)},
            "cluster.allocation.box.cpus_per_worker=17: "
            "box has 16 CPUs; ask for no more than that, or 0",
        ),
        (
            {"box": NodeAllocation(gpus_per_worker=3)},
            "cluster.allocation.box.gpus_per_worker=3: "
            "box has 2 GPUs; ask for no more than that, or 0",
        ),
    ],
)
def test_what_a_node_cannot_give_is_refused(
    allocation: dict[str, NodeAllocation], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        cut([GPUS], ClusterSettings(allocation=allocation))
    assert str(error.value) == message


def test_a_cluster_without_any_worker_is_refused() -> None:
    settings = ClusterSettings(allocation={"box": NodeAllocation()}, default_allocation=None)
    with pytest.raises(ConfigError, match=r"the cluster has box \(16 CPUs, 2 GPUs\) and the alloc"):
        require_workers(cut([GPUS], settings), [GPUS])


def test_emulated_workers_are_all_on_the_one_node() -> None:
    emulated = (EmulatedWorker("fast", "gpu"), EmulatedWorker("slow", "cpu", 6.0, threads=2))
    bundles = cut([HEAD], ClusterSettings(mode="emulated", emulated=emulated))
    assert [(b.info.name, b.info.slowdown, b.info.cpus, b.info.on_gpu) for b in bundles] == [
        ("fast", 1.0, 1.0, False),
        ("slow", 6.0, 2.0, False),
    ]
