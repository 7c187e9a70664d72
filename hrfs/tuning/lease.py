"""Which worker a process is, where Ray's placement and not ours has decided.

A lock file per worker, held by the process for its life: the system releases it however the
process ends. Processes of one node only need to agree, so the files lie in the node's own
temporary folder.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ray

from hrfs.experiment.records import WorkerInfo


@dataclass
class Lease:
    """A worker that this process claims until ``lock`` is closed."""

    worker: WorkerInfo
    cores: Mapping[str, Any] | None
    """Its share of the machine's cores, as a dictionary."""
    lock: IO[bytes]


def lease_worker(workers: Sequence[Mapping[str, Any]], run: str) -> Lease:
    """Claim a worker of this node that no other process of the run holds.

    Args:
        workers: dictionaries ``{"node_id": ..., "info": {...}, "cores": ...}`` of all workers of
            the run.
        run: name of the run, unique on this node.

    Raises:
        RuntimeError: Ray has put more processes on this node than it has workers.
    """
    node_id = ray.get_runtime_context().get_node_id()
    folder = Path(tempfile.gettempdir()) / f"hrfs-workers-{run}"
    folder.mkdir(exist_ok=True)
    here = [(WorkerInfo(**w["info"]), w["cores"]) for w in workers if w["node_id"] == node_id]
    for worker, cores in here:
        lock = (folder / worker.name.replace("/", "_")).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return Lease(worker, cores, lock)
    raise RuntimeError(f"node {node_id} has {len(here)} workers and each has a process already")
