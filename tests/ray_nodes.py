"""Nodes of the session's Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


def add_node(cluster: Cluster, name: str, cpus: int) -> object:
    """Add a node that the adapter calls ``name``."""
    return cluster.add_node(
        num_cpus=cpus, labels={"hrfs-node": name}, object_store_memory=80 * 2**20
    )
