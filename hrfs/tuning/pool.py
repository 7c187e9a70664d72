"""The pool of workers as it is now: who is there, who came, who went.

Node lists come from Ray every ``poll_s``. A worker whose process died is taken out at once,
since a dead node looks alive for some 15 s, and comes back as soon as its node answers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.records import WorkerInfo
from hrfs.tuning.allocation import Bundle, cut, read_nodes, require_workers

log = logging.getLogger("hrfs")


@dataclass
class Change:
    """Workers that came and went since the last look."""

    joined: list[Bundle] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    """Name of each worker that went, and why."""


class WorkerPool:
    """Follows a cluster. Times are the caller's, in seconds."""

    def __init__(self, settings: ClusterSettings, poll_s: float = 1.0) -> None:
        self._settings = settings
        self._poll_s = poll_s
        self._next_poll_s = 0.0
        self._bundles: dict[str, Bundle] = {}
        self._quarantine: dict[str, ray.ObjectRef] = {}

    @property
    def workers(self) -> list[WorkerInfo]:
        """The workers that are there now."""
        return [bundle.info for bundle in self._bundles.values()]

    @property
    def bundles(self) -> list[Bundle]:
        """Where the workers are that are there now."""
        return list(self._bundles.values())

    def bundle(self, worker: str) -> Bundle:
        """Where ``worker`` is. Raises KeyError if it is not there."""
        return self._bundles[worker]

    def discover(self) -> list[Bundle]:
        """Look for the first time.

        Raises:
            ConfigError: the allocation does not fit the cluster, or makes no worker.
        """
        nodes = read_nodes(ray.nodes())
        bundles = cut(nodes, self._settings)
        require_workers(bundles, nodes)
        self._bundles = {bundle.info.name: bundle for bundle in bundles}
        return bundles

    def quarantine(self, worker: str) -> None:
        """Take out a worker whose process died, until its node answers a probe."""
        bundle = self._bundles.pop(worker, None)
        if bundle is not None:
            self._quarantine[worker] = _probe(bundle.node_id)

    def look(self, now_s: float) -> Change:
        """What has changed since the last look; asks Ray at most every ``poll_s``."""
        change = Change()
        if now_s < self._next_poll_s:
            return change
        self._next_poll_s = now_s + self._poll_s
        present = {bundle.info.name: bundle for bundle in self._cut_now()}
        for name, bundle in list(self._bundles.items()):
            if name not in present or present[name].node_id != bundle.node_id:
                del self._bundles[name]
                change.left[name] = f"node {bundle.info.node} is gone"
        for name, bundle in present.items():
            if name not in self._bundles and self._released(name, bundle):
                self._bundles[name] = bundle
                change.joined.append(bundle)
        return change

    def _cut_now(self) -> Sequence[Bundle]:
        nodes = read_nodes(ray.nodes())
        # A node that an allocation names may be away for a while; that is no reason to stop.
        known = {n.name for n in nodes} | {n.address for n in nodes}
        allocation = {k: v for k, v in self._settings.allocation.items() if k in known}
        return cut(nodes, replace(self._settings, allocation=allocation))

    def _released(self, name: str, bundle: Bundle) -> bool:
        """Whether a worker that is not in use may be used: no quarantine, or its probe is back."""
        probe = self._quarantine.get(name)
        if probe is None:
            return True
        ready, _ = ray.wait([probe], timeout=0)
        if not ready:
            return False
        del self._quarantine[name]
        try:
            ray.get(probe)
        except ray.exceptions.RayError as error:
            log.info("worker %s stays out: its node does not answer (%s)", name, error)
            self._quarantine[name] = _probe(bundle.node_id)
            return False
        return True


def _answer() -> bool:
    return True


def _probe(node_id: str) -> ray.ObjectRef:
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task = ray.remote(_answer).options(num_cpus=0, max_retries=0, scheduling_strategy=here)
    return task.remote()
