"""How the nodes of a cluster are cut into workers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from hrfs.experiment.cluster import (
    PARTS_OF_A_GPU,
    ClusterSettings,
    EmulatedWorker,
    NodeAllocation,
    base_kind,
    gpu_kind,
    workers_per_gpu,
)
from hrfs.experiment.cores import CoreShare
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import WorkerInfo

NODE_LABEL = "hrfs-node"
"""Ray node label that names a node for good: ``ray start --labels=hrfs-node=left``."""


@dataclass(frozen=True, slots=True)
class Node:
    """A living node of the cluster. ``name`` is stable over restarts, ``node_id`` is Ray's."""

    node_id: str
    name: str
    address: str
    cpus: int
    gpus: int
    gpu_model: str = ""
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """A worker and where it is: resources that are held on one node."""

    info: WorkerInfo
    node_id: str
    resources: Mapping[str, float]
    share: CoreShare | None = None
    """What its process is to keep to of the machine's cores; None leaves that to the system."""


def read_nodes(
    listing: Sequence[Mapping[str, Any]], held: Mapping[str, str] | None = None
) -> list[Node]:
    """The living nodes of ``ray.nodes()``, in the order of their names.

    A node is named by its ``hrfs-node`` label, else by its host; when several share a name,
    all but the first get ``~2``, ``~3`` ... in the order of their Ray ids. A node whose Ray id is
    in ``held`` keeps the name there: one that came back while Ray still listed what it was before
    must not be renamed when that goes.
    """
    alive = [entry for entry in listing if entry["Alive"]]
    kept = {e["NodeID"]: held[e["NodeID"]] for e in alive if held and e["NodeID"] in held}
    taken = set(kept.values())
    nodes = []
    for entry in sorted(alive, key=lambda e: (_own_name(e), e["NodeID"])):
        name = kept.get(entry["NodeID"]) or _free_name(_own_name(entry), taken)
        taken.add(name)
        resources = entry["Resources"]
        nodes.append(
            Node(
                node_id=entry["NodeID"],
                name=name,
                address=entry["NodeManagerAddress"],
                cpus=int(resources.get("CPU", 0)),
                gpus=int(resources.get("GPU", 0)),
                gpu_model=_gpu_model(resources),
                is_head="node:__internal_head__" in resources,
            )
        )
    return nodes


def _free_name(name: str, taken: Set[str]) -> str:
    others = (f"{name}~{number}" for number in count(2))
    return next(free for free in chain([name], others) if free not in taken)


def _own_name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("Labels", {}).get(NODE_LABEL) or entry["NodeManagerHostname"])


def _gpu_model(resources: Mapping[str, float]) -> str:
    """Ray adds ``accelerator_type:A100`` to the resources of a node with such a GPU."""
    prefix = "accelerator_type:"
    return next((key[len(prefix) :] for key in resources if key.startswith(prefix)), "")


def cut(nodes: Sequence[Node], settings: ClusterSettings) -> list[Bundle]:
    """All workers that ``settings`` makes of ``nodes``; GPU workers of a node before its CPUs.

    Raises:
        ConfigError: an allocation names a node that is not there, or asks for more than a
            node has, or no worker is possible at all.
    """
    if settings.mode == "emulated":
        return _emulated(nodes, settings)
    _check_names(nodes, settings.allocation)
    bundles: list[Bundle] = []
    for node in nodes:
        bundles.extend(_cut_node(node, settings))
    return bundles


def require_workers(bundles: Sequence[Bundle], nodes: Sequence[Node]) -> None:
    """Refuse a run that could never start.

    Raises:
        ConfigError: there is not a single worker.
    """
    if not bundles:
        have = ", ".join(f"{n.name} ({n.cpus} CPUs, {n.gpus} GPUs)" for n in nodes) or "no node"
        raise ConfigError(
            "cluster.allocation",
            "no worker",
            f"the cluster has {have} and the allocation makes no worker of it",
            "give cpus_per_worker or gpus_per_worker, or use cluster=local",
        )


def _check_names(nodes: Sequence[Node], allocation: Mapping[str, NodeAllocation]) -> None:
    known = {name for node in nodes for name in (node.name, node.address)}
    for name in allocation:
        if name not in known:
            raise ConfigError(
                f"cluster.allocation.{name}",
                name,
                f"no such node; the cluster has {', '.join(sorted(known))}",
                "name a host or an IP address of the cluster",
            )


def _cut_node(node: Node, settings: ClusterSettings) -> list[Bundle]:
    named = settings.allocation.get(node.name) or settings.allocation.get(node.address)
    how = named or settings.default_allocation
    if how is None:
        return []
    # A node with a single CPU has none to spare: the driver shares it.
    reserved = settings.reserved_cpus if node.is_head and node.cpus > settings.reserved_cpus else 0
    cpus = node.cpus - reserved
    if how == "auto":
        left = cpus - node.gpus
        how = NodeAllocation(cpus_per_worker=max(left, 0), gpus_per_worker=1 if node.gpus else 0)
        named = None
    return _cut_by(node, how, cpus, key=f"cluster.allocation.{node.name}" if named else None)


def _cut_by(node: Node, how: NodeAllocation, cpus: int, key: str | None) -> list[Bundle]:
    """Cut one node; ``key`` is the user's own setting, whose excess is refused."""
    if key and how.gpus_per_worker > node.gpus:
        raise ConfigError(
            f"{key}.gpus_per_worker",
            how.gpus_per_worker,
            f"{node.name} has {node.gpus} GPUs",
            "ask for no more than that, or 0",
        )
    if key and how.cpus_per_worker > node.cpus:
        raise ConfigError(
            f"{key}.cpus_per_worker",
            how.cpus_per_worker,
            f"{node.name} has {node.cpus} CPUs",
            "ask for no more than that, or 0",
        )
    sharing = _sharing(how, key)
    whole = max(how.gpus_per_worker, 1.0)
    gpus = PARTS_OF_A_GPU // sharing / PARTS_OF_A_GPU if sharing > 1 else whole
    gpu_workers = sharing * math.floor(node.gpus / whole)
    if how.cpus_per_gpu_worker:
        gpu_workers = min(gpu_workers, cpus // how.cpus_per_gpu_worker)
    left = cpus - gpu_workers * how.cpus_per_gpu_worker
    cpu_workers = left // how.cpus_per_worker if how.cpus_per_worker else 0
    kind = gpu_kind(node.gpu_model, sharing)
    gpu = [
        _bundle(node, kind, f"gpu:{i}", how.cpus_per_gpu_worker, gpus) for i in range(gpu_workers)
    ]
    return gpu + [
        _bundle(node, "cpu", f"cpu:{i}", how.cpus_per_worker, 0.0) for i in range(cpu_workers)
    ]


def _sharing(how: NodeAllocation, key: str | None) -> int:
    """Workers on a GPU; 0 if there are to be none."""
    if not how.gpus_per_worker:
        return 0
    return workers_per_gpu(
        f"{key or 'cluster.allocation[default]'}.gpus_per_worker", how.gpus_per_worker
    )


def _bundle(node: Node, kind: str, suffix: str, cpus: int, gpus: float) -> Bundle:
    resources = {"CPU": float(cpus)} | ({"GPU": float(gpus)} if gpus else {})
    info = WorkerInfo(f"{node.name}/{suffix}", kind, node.name, float(cpus), float(gpus))
    return Bundle(info, node.node_id, resources)


def emulated_resource(kind: str) -> str:
    """Ray resource that counts the emulated workers of a kind, for a baseline that asks by kind."""
    return f"emulated_{base_kind(kind)}"


def emulated_resources(workers: Sequence[EmulatedWorker]) -> dict[str, float]:
    """What Ray must have for emulated workers, by its names.

    Its CPUs count workers there: each holds one, however many threads it uses.
    """
    return {"CPU": len(workers), **Counter(emulated_resource(worker.kind) for worker in workers)}


def _emulated(nodes: Sequence[Node], settings: ClusterSettings) -> list[Bundle]:
    """One logical worker each, all on the one node; Ray's CPUs there count workers."""
    return [
        Bundle(
            WorkerInfo(w.name, w.kind, node.name, float(w.threads), 0.0, w.slowdown),
            node.node_id,
            {"CPU": 1.0},
        )
        for node in nodes[:1]
        for w in settings.emulated
    ]
