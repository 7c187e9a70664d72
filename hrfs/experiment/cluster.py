"""What the user says about devices: which cluster, and how nodes are cut into workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ClusterMode = Literal["local", "emulated", "address"]


@dataclass(frozen=True, slots=True)
class NodeAllocation:
    """How one node is cut into workers (the paper's RESOURCE_ALLOCATION).

    Each GPU bundle takes ``gpus_per_worker`` GPUs and ``cpus_per_gpu_worker`` CPUs; what CPUs
    remain are cut into bundles of ``cpus_per_worker``. 0 means no worker of that kind.
    """

    cpus_per_worker: int = 0
    gpus_per_worker: float = 0.0
    cpus_per_gpu_worker: int = 1


@dataclass(frozen=True, slots=True)
class EmulatedWorker:
    """A logical device on this machine whose iterations take ``slowdown`` times as long."""

    name: str
    kind: str
    slowdown: float = 1.0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Where a run trains.

    ``local`` starts Ray on this machine and uses what it has; ``emulated`` starts Ray here
    with ``emulated`` logical workers; ``address`` joins the Ray cluster at ``address``.
    ``allocation`` maps a host name or IP address to its cut; a node that it does not name
    gets ``default_allocation``, or no worker if that is None (an explicit allocation).
    ``default_allocation == "auto"`` makes one worker of each GPU and one of all CPUs left.
    """

    mode: ClusterMode = "local"
    address: str | None = None
    allocation: Mapping[str, NodeAllocation] = field(default_factory=dict)
    default_allocation: NodeAllocation | Literal["auto"] | None = "auto"
    emulated: tuple[EmulatedWorker, ...] = ()
    reserved_cpus: int = 1
    """CPUs of the driver's node kept free for the driver, if the node has more than one."""
    answer_within_s: float = 10.0
    """How long an address may take to answer before the run is refused."""
    wait_s: float = 600.0
    """How long a run without any worker waits for one before it gives up."""
    hung_after: float | None = 5.0
    """A slice is abandoned after this multiple of the time predicted for it; None: never."""
    hung_least_s: float = 60.0
    """But not before so many seconds. A worker that hung stays out for as long at first."""
    hung_unknown_s: float = 3600.0
    """The limit where no time can be predicted, and for the start of a worker's process."""
    dashboard: bool = False
