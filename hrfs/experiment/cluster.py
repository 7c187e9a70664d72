"""What the user says about devices: which cluster, and how nodes are cut into workers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hrfs.experiment.cores_here import cores_to_pin
from hrfs.experiment.errors import ConfigError

ClusterMode = Literal["local", "emulated", "address"]


@dataclass(frozen=True, slots=True)
class NodeAllocation:
    """How one node is cut into workers (the paper's RESOURCE_ALLOCATION).

    Each GPU bundle takes ``gpus_per_worker`` GPUs and ``cpus_per_gpu_worker`` CPUs; what CPUs
    remain are cut into bundles of ``cpus_per_worker``. 0 means no worker of that kind. A part
    of a GPU is one that divides it, see :func:`workers_per_gpu`.
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
    pin_cores: Literal["auto"] | bool = "auto"
    """Whether workers keep to cores of their own; ``auto``: on machines with cores for all."""


PARTS_OF_A_GPU = 10_000
"""Ray counts in parts of this size."""
_ROUNDING = 0.002
"""How far a part may be off, relatively: 0.333 is a third."""


def workers_per_gpu(key: str, gpus_per_worker: float) -> int:
    """How many workers share a GPU; 1 where each has one or several to itself.

    Raises:
        ConfigError: the GPUs of a worker, which ``key`` names, are no whole number and no
            whole part of one.
    """
    least = 1 / PARTS_OF_A_GPU
    if not least <= gpus_per_worker < math.inf:
        raise ConfigError(key, gpus_per_worker, f"must be 0, or a number of at least {least:.4f}")
    if gpus_per_worker >= 1:
        whole = math.floor(gpus_per_worker)
        if gpus_per_worker == whole:
            return 1
        rule = "a worker has whole GPUs, or a part of one"
        raise ConfigError(key, gpus_per_worker, rule, f"nearest are {whole} and {whole + 1}")
    sharing = round(1 / gpus_per_worker)
    if abs(sharing * gpus_per_worker - 1) <= _ROUNDING:
        return sharing
    more = math.floor(1 / gpus_per_worker)  # of a GPU
    rule = "does not divide a GPU into equal parts"
    near = f"{_part(more + 1)} and {_part(more)}"
    raise ConfigError(key, gpus_per_worker, rule, f"nearest are {near}")


def gpu_kind(model: str, sharing: int) -> str:
    """``gpu``, ``gpu:A100``; ``gpu/2`` and ``gpu:A100/2`` if two workers share each.

    A part of a GPU is a kind of its own, since its workers are as fast as each other and not as
    whole ones.
    """
    return f"gpu{f':{model}' if model else ''}{f'/{sharing}' if sharing > 1 else ''}"


def base_kind(kind: str) -> str:
    """``gpu`` of ``gpu:A100`` and of ``gpu/2``."""
    return kind.partition(":")[0].partition("/")[0]


def check_pin_cores(pin_cores: Any, mode: ClusterMode, emulated_threads: int) -> None:
    """What can be known of ``cluster.pin_cores`` before a cluster is there.

    Raises:
        ConfigError: it is none of its values, or cannot be ``true`` on this machine.
    """
    if pin_cores != "auto" and not isinstance(pin_cores, bool):
        raise ConfigError("cluster.pin_cores", pin_cores, "must be auto, true or false")
    if pin_cores is True and mode != "address":
        check_cores("this machine", emulated_threads, cores_to_pin())


def check_cores(machine: str, wanted: int, there: int | None) -> None:
    """Make sure that ``cluster.pin_cores=true`` can be done on a machine.

    Args:
        wanted: cores that its workers take together.
        there: cores that they may use; None if its system pins no process.

    Raises:
        ConfigError: they do not fit.
    """
    key = "cluster.pin_cores"
    if there is None:
        rule = f"the system of {machine} lets no process choose its cores; only Linux does"
        raise ConfigError(key, "true", rule, "leave it at auto")
    if wanted > there:
        rule = f"the workers of {machine} take {wanted} cores and it has {there} for them"
        raise ConfigError(key, "true", rule, "make fewer or smaller workers, or leave it at auto")


def _part(sharing: int) -> str:
    workers = "1 worker" if sharing == 1 else f"{sharing} workers"
    return f"{1 / sharing:.4g} ({workers} per GPU)"
