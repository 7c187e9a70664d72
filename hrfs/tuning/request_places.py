"""Makes one request fit exactly where the workers of a run are.

Ray places a request wherever there is room: on nodes that the allocation gives no worker,
and beside workers where a node has resources to spare. Neither may train.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.util import placement_group, remove_placement_group

from hrfs.tuning.request import Candidate

log = logging.getLogger("hrfs")

NODE_ID = "ray.io/node-id"
HOLD_WITHIN_S = 10.0


def placement_factory(candidate: Candidate, emulated: bool) -> PlacementGroupFactory:
    """The request as Tune takes it, for the nodes of the candidate's workers alone."""
    if emulated:  # one node, where a resource of their own counts the workers of a kind
        return PlacementGroupFactory([dict(candidate.resources)])
    nodes = sorted({bundle.node_id for bundle in candidate.bundles})
    selector = {NODE_ID: f"in({','.join(nodes)})"}
    return PlacementGroupFactory(
        [dict(candidate.resources)], strategy="STRICT_PACK", bundle_label_selector=[selector]
    )


def surplus(candidate: Candidate, totals: Mapping[str, Mapping[str, float]]) -> dict[str, int]:
    """How often more than it has workers each of the candidate's nodes could answer.

    Args:
        totals: by Ray's node id, the resources of the whole node.
    """
    over = {}
    for node_id in {bundle.node_id for bundle in candidate.bundles}:
        here = sum(bundle.node_id == node_id for bundle in candidate.bundles)
        room = min(
            math.floor(totals[node_id].get(name, 0.0) / amount)
            for name, amount in candidate.resources.items()
            if amount > 0
        )
        if room > here:
            over[node_id] = room - here
    return over


@contextmanager
def room_withheld(
    candidate: Candidate, nodes: Sequence[Mapping[str, Any]], emulated: bool
) -> Iterator[None]:
    """Hold what room a node has beyond its workers for as long as the context lasts.

    Args:
        nodes: as from ``ray.nodes()``.
    """
    if emulated:  # the node has exactly as many of the kind's own resource as workers
        yield
        return
    totals = {node["NodeID"]: node["Resources"] for node in nodes if node["Alive"]}
    held = [
        placement_group(
            [dict(candidate.resources)] * times,
            strategy="STRICT_PACK",
            bundle_label_selector=[{NODE_ID: node_id}] * times,
        )
        for node_id, times in surplus(candidate, totals).items()
    ]
    try:
        for group in list(held):
            if not group.wait(HOLD_WITHIN_S):
                # Left pending, it would take a worker's own resources at the first chance.
                held.remove(group)
                remove_placement_group(group)
                log.warning("a node has other users; Ray may place more there than it has workers")
        yield
    finally:
        for group in held:
            remove_placement_group(group)
