"""The pool of workers as it is now: who is there, who came, who went.

Node lists come from Ray every ``poll_s``. A worker whose process died is taken out at once,
since a dead node looks alive for some 15 s, and comes back as soon as its node answers. One that
hung, or is to blame for what failed on it, stays out for a time before it is probed. That time
counts no longer once its node is another one of the same name, or no other worker is left.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.records import WorkerInfo
from hrfs.tuning.allocation import Bundle, cut, read_nodes, require_workers
from hrfs.tuning.cores import share_cores
from hrfs.tuning.storage_gate import StorageGate

log = logging.getLogger("hrfs")


@dataclass
class Change:
    """Workers that came and went since the last look."""

    joined: list[Bundle] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    """Name of each worker that went, and why."""


@dataclass(slots=True)
class _Stay:
    """A worker that is out, though its node may be there."""

    bundle: Bundle
    until_s: float
    probe: ray.ObjectRef | None = None


class WorkerPool:
    """Follows a cluster. Times are the caller's, in seconds."""

    def __init__(self, settings: ClusterSettings, poll_s: float = 1.0) -> None:
        self._settings = settings
        self._poll_s = poll_s
        self._next_poll_s = 0.0
        self._bundles: dict[str, Bundle] = {}
        self._quarantine: dict[str, _Stay] = {}
        self._gate: StorageGate | None = None

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
        bundles = share_cores(cut(nodes, self._settings), nodes, self._settings)
        require_workers(bundles, nodes)
        self._bundles = {bundle.info.name: bundle for bundle in bundles}
        return bundles

    def quarantine(self, worker: str, until_s: float = 0.0) -> None:
        """Take out a worker until its node answers a probe, which is sent at ``until_s``."""
        bundle = self._bundles.pop(worker, None)
        if bundle is not None:
            self._quarantine[worker] = _Stay(bundle, until_s)

    def quarantine_longer(self, worker: str, until_s: float) -> bool:
        """Have a worker that is out already stay out until then; False if it is in."""
        stay = self._quarantine.get(worker)
        if stay is None:
            return False
        stay.until_s, stay.probe = until_s, None
        return True

    def release(self, worker: str) -> None:
        """A worker that is out need not wait any longer to be probed."""
        if worker in self._quarantine:
            self._quarantine[worker].until_s = 0.0

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
            if name not in self._bundles and self._may_work(bundle, now_s):
                self._bundles[name] = bundle
                change.joined.append(bundle)
        return change

    def _cut_now(self) -> Sequence[Bundle]:
        # Those that are out as well: a dead node that Ray still lists must not come in again by
        # another name, for the one that has come back in its place.
        stays = [stay.bundle for stay in self._quarantine.values()]
        named = {b.node_id: b.info.node for b in [*stays, *self._bundles.values()]}
        nodes = read_nodes(ray.nodes(), named)
        # A node that an allocation names may be away for a while; that is no reason to stop.
        known = {n.name for n in nodes} | {n.address for n in nodes}
        allocation = {k: v for k, v in self._settings.allocation.items() if k in known}
        bundles = cut(nodes, replace(self._settings, allocation=allocation))
        return share_cores(bundles, nodes, self._settings)

    def keep_to_storage(self, folder: Path) -> None:
        """From now on workers join only where their node sees ``folder``; those here do."""
        self._gate = StorageGate(folder, [bundle.node_id for bundle in self._bundles.values()])

    def doubt_storage(self, worker: str) -> None:
        """A worker that is there cannot write: its node is to be asked before it joins again."""
        if self._gate is not None and worker in self._bundles:
            self._gate.doubt(self._bundles[worker].node_id)

    def _may_work(self, bundle: Bundle, now_s: float) -> bool:
        """Whether a worker that is not in use may be used."""
        if not self._released(bundle, now_s):
            return False
        return self._gate is None or self._gate.lets_in(bundle, now_s)

    def _released(self, bundle: Bundle, now_s: float) -> bool:
        """Whether a worker that is not in use may be used: it is not out, or its probe is back."""
        name = bundle.info.name
        stay = self._quarantine.get(name)
        if stay is None:
            return True
        if stay.bundle.node_id != bundle.node_id:  # another node, of the same name
            stay = self._quarantine[name] = _Stay(bundle, 0.0)
        if stay.probe is None and (now_s >= stay.until_s or not self._bundles):
            stay.probe = _probe(bundle)
        if stay.probe is None or not ray.wait([stay.probe], timeout=0)[0]:
            return False
        try:
            ray.get(stay.probe)
        except ray.exceptions.RayError as error:
            log.info("worker %s stays out: its node does not answer (%s)", name, error)
            stay.probe = None
            return False
        del self._quarantine[name]
        return True


def _answer() -> bool:
    return True


def _probe(bundle: Bundle) -> ray.ObjectRef:
    """Runs where the worker does, with what it takes: what an old process holds is not free."""
    takes = dict(bundle.resources)
    task = ray.remote(_answer).options(
        num_cpus=takes.pop("CPU", 0.0),
        num_gpus=takes.pop("GPU", 0.0),
        resources=takes,
        max_retries=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(bundle.node_id, soft=False),
    )
    return task.remote()
