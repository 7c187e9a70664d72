"""The cores that this process may use, read from Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hrfs.experiment.cores import Core

SYSTEM = Path("/sys/devices/system")
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def can_pin() -> bool:
    """Whether the system lets a process choose its cores: Linux does."""
    return hasattr(os, "sched_setaffinity")


def cores_here(system: Path = SYSTEM) -> list[Core]:
    """The logical CPUs that this process may run on, ascending (its cgroup's ``cpuset`` counts).

    Where the system does not tell, a CPU is a physical core, and all are of one NUMA node.
    """
    nodes = {cpu: number for number, cpus in _numa_nodes(system) for cpu in cpus}
    return [
        Core(cpu, _physical(system, cpu), nodes.get(cpu, 0))
        for cpu in sorted(os.sched_getaffinity(0))
    ]


def _numa_nodes(system: Path) -> Iterator[tuple[int, list[int]]]:
    for folder in (system / "node").glob("node[0-9]*"):
        yield int(folder.name.removeprefix("node")), parse_cpus(_read(folder / "cpulist"))


def _physical(system: Path, cpu: int) -> str:
    siblings = _read(system / f"cpu/cpu{cpu}/topology/thread_siblings_list")
    return siblings.strip() or str(cpu)


def parse_cpus(told: str) -> list[int]:
    """``[0, 1, 2, 3, 8]`` of ``0-3,8``, as the kernel writes lists of CPUs."""
    cpus: list[int] = []
    for part in told.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            cpus += range(int(first), int(last or first) + 1)
    return cpus


def cpu_quota(membership: Path = MEMBERSHIP, mount: Path = CGROUPS) -> float | None:
    """CPUs' worth of time that the cgroup grants (``docker run --cpus``); None: all of it.

    Both versions of cgroups, and every level above the process's own, count.
    """
    quotas = [
        quota
        for line in _read(membership).splitlines()
        for group in _groups(mount, *line.split(":", 2)[1:])
        if (quota := _quota(group)) is not None
    ]
    return min(quotas, default=None)


def _groups(mount: Path, controllers: str, path: str) -> Iterator[Path]:
    """The folder of a cgroup and those above it."""
    if controllers and "cpu" not in controllers.split(","):
        return
    root = mount / controllers
    inner = Path(path.lstrip("/"))
    yield from (root / level for level in (inner, *inner.parents))


def _quota(group: Path) -> float | None:
    v2 = _read(group / "cpu.max").split()
    amount, period = v2 or (_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if not amount.strip().isdigit():  # "max", "-1", or no such file
        return None
    return int(amount) / int(period)


def core_count() -> int:
    """Cores that this process may keep busy, at least 1."""
    quota = cpu_quota()
    cores = len(os.sched_getaffinity(0))
    return max(1, cores if quota is None else min(cores, int(quota)))


def cores_to_pin() -> int | None:
    """Cores to which workers here can be pinned; None if the system pins no process."""
    return core_count() if can_pin() else None


def owns_its_cores() -> bool:
    """Whether the cores are the process's to choose from.

    Under a quota below their number they are not: the process is granted time on cores that
    others are on as well, and the system had better choose.
    """
    quota = cpu_quota()
    return quota is None or quota >= len(os.sched_getaffinity(0))


def _read(file: Path) -> str:
    """Its content, empty where the system has no such file."""
    try:
        return file.read_text()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""
