"""Nodes of the session's Ray cluster."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


def add_node(cluster: Cluster, name: str, cpus: int) -> object:
    """Add a node that the adapter calls ``name``."""
    return cluster.add_node(
        num_cpus=cpus, labels={"hrfs-node": name}, object_store_memory=80 * 2**20
    )


def kill_node(cluster: Cluster, node: Any) -> None:
    """SIGKILL of all processes of a node at once, raylet, agents and workers, as a power cut."""
    parents = _parents()
    doomed = {told.process.pid for many in node.all_processes.values() for told in many}
    found = True
    while found:
        found = {pid for pid, parent in parents.items() if parent in doomed} - doomed
        doomed |= found
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def _parents() -> dict[int, int]:
    """Every process's parent."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
        parents[int(stat.parent.name)] = int(after_name[1])
    return parents
