"""Cores for workers: what each is to know of the others on its machine, and whether all have some.

Which cores a worker gets is settled by its process (:mod:`hrfs.experiment.pinning`), which
alone sees them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hrfs.experiment.cluster import ClusterSettings, check_cores
from hrfs.experiment.cores import CoreShare
from hrfs.experiment.cores_here import cores_to_pin
from hrfs.tuning.allocation import Bundle, Node

log = logging.getLogger("hrfs")

CORES_KEY = "hrfs_cores"
"""Key of the trial's config: the worker's share of its machine's cores, as a dictionary. Key of a
result: the cores that the process kept to, as ``0-3``, empty if it was free to use any."""
ANSWER_WITHIN_S = 60.0
"""A node that has not told its cores by then starts no processes."""


def share_cores(
    bundles: Sequence[Bundle], nodes: Sequence[Node], settings: ClusterSettings
) -> list[Bundle]:
    """The same workers, each with what it should know of the others on its machine.

    Ray nodes of one address are on one machine, and so on the same cores.
    """
    if settings.pin_cores is False:
        return list(bundles)
    address = {node.node_id: node.address for node in nodes}
    sizes: dict[str, Counter[int]] = {}
    for bundle in bundles:
        sizes.setdefault(address[bundle.node_id], Counter())[int(bundle.info.cpus)] += 1

    def share(bundle: Bundle) -> CoreShare | None:
        mine, all_here = int(bundle.info.cpus), sizes[address[bundle.node_id]]
        here = tuple(sorted((cpus, many) for cpus, many in all_here.items() if cpus))
        return CoreShare(mine, here, required=settings.pin_cores is True) if mine else None

    return [replace(bundle, share=share(bundle)) for bundle in bundles]


def require_cores(bundles: Sequence[Bundle], settings: ClusterSettings) -> None:
    """Make sure that every machine has cores for its workers, if the user insists.

    Raises:
        ConfigError: one has too few, or its system pins no process to cores.
    """
    if settings.pin_cores is not True:
        return
    told = {b.node_id: (b.info.node, b.share.total) for b in bundles if b.share is not None}
    asked = {node_id: _ask(node_id) for node_id in told}
    for node_id, (name, wanted) in told.items():
        check_cores(name, wanted, ray.get(asked[node_id], timeout=ANSWER_WITHIN_S))


def _ask(node_id: str) -> ray.ObjectRef:
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(cores_to_pin).options(num_cpus=0, scheduling_strategy=here).remote()


class CoreNotes:
    """Tells in the log, once for each process, where workers are kept to."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def note(self, bundle: Bundle, result: Mapping[str, Any]) -> None:
        """The cores that the process of a slice's result kept to."""
        cores, name = result.get(CORES_KEY), bundle.info.name
        if bundle.share is None or cores is None or self._last.get(name) == cores:
            return
        self._last[name] = cores
        if cores:
            log.info("worker %s keeps to the cores %s of its machine", name, cores)
        elif bundle.share.required:
            log.warning("worker %s is not pinned: others keep to the cores it could have", name)
        else:
            log.info("worker %s may run on any core of its machine", name)
