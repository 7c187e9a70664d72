"""Whether a node sees the output folder as the driver does: it reads there, and is read.

The name of the place is new for each look, so that no cache of a network share knows it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hrfs.experiment.cluster import ClusterMode
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.tuning.allocation import Bundle

LOOK_WITHIN_S = 60.0
"""A node that has not looked by then has a file system that hangs, or starts no process."""
_KEY = "hydra.run.dir"
_BY_DRIVER, _BY_NODE = "driver", "node"


@dataclass(frozen=True, slots=True)
class Look:
    """A node is having a look at ``place``."""

    place: Path
    token: str
    task: ray.ObjectRef

    def ready(self, within_s: float = 0.0) -> bool:
        """Whether the node has looked; waits for it so long."""
        return bool(ray.wait([self.task], timeout=within_s)[0])

    def fault(self) -> str:
        """What is wrong, empty if nothing is; the traces of the look are removed."""
        try:
            if not self.ready():
                return f"it has not answered for {LOOK_WITHIN_S:g} s"
            said: str = ray.get(self.task)
            return said or self._not_seen_here()
        except ray.exceptions.RayError as error:
            return f"it does not answer ({str(error).strip().splitlines()[0]})"
        finally:
            shutil.rmtree(self.place, ignore_errors=True)

    def _not_seen_here(self) -> str:
        try:
            seen = (self.place / _BY_NODE).read_text() == self.token
        except OSError:
            seen = False
        return "" if seen else "the driver does not see what it writes there"


def begin_look(folder: Path, node_id: str) -> Look:
    """Have a node look at ``folder``.

    Raises:
        OSError: the driver itself cannot write there.
    """
    token = secrets.token_hex(8)
    place = folder / f".storage-check-{token}"
    try:
        write_atomically(place / _BY_DRIVER, token)
    except OSError:
        shutil.rmtree(place, ignore_errors=True)
        raise
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task = ray.remote(_look).options(num_cpus=0, max_retries=0, scheduling_strategy=here)
    return Look(place, token, task.remote(str(place), token))


def _look(place: str, token: str) -> str:
    """On the node: what it cannot do there, empty if it can read and write."""
    try:
        if (Path(place) / _BY_DRIVER).read_text() != token:
            return "it does not read what the driver wrote there"
        write_atomically(Path(place) / _BY_NODE, token)
    except FileNotFoundError:
        return "it does not see what the driver wrote there"
    except OSError as error:
        return f"it cannot use it ({error.strerror or error})"
    return ""


def require_shared(folder: Path, bundles: Sequence[Bundle], mode: ClusterMode) -> None:
    """Make sure that each node with a worker sees ``folder``, the output folder.

    The driver's own node is not asked if the driver has started Ray there.

    Raises:
        ConfigError: some do not, or the driver cannot write there.
    """
    nodes = {bundle.node_id: bundle.info.node for bundle in bundles}
    if mode != "address":
        nodes.pop(ray.get_runtime_context().get_node_id(), None)
    if not nodes:
        return
    try:
        looks = {nodes[node_id]: begin_look(folder, node_id) for node_id in nodes}
    except OSError as error:
        rule = f"cannot be written ({error.strerror or error})"
        raise ConfigError(_KEY, folder, rule, "choose another folder") from error
    tasks = [look.task for look in looks.values()]
    ray.wait(tasks, num_returns=len(tasks), timeout=LOOK_WITHIN_S)
    faults = {name: look.fault() for name, look in looks.items()}
    told = "; ".join(f"{name}: {fault}" for name, fault in faults.items() if fault)
    if told:
        raise ConfigError(
            _KEY,
            folder,
            f"is not shared by all nodes ({told})",
            "give a folder of a file system that all nodes have under the same path, "
            "or leave these nodes out by cluster.allocation",
        )
