"""Which cores of a machine each of its workers gets: a function of the cores and the sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Core:
    """A logical CPU."""

    cpu: int
    """The system's number of it."""
    physical: str
    """The same text for all hyperthreads of one physical core."""
    numa_node: int = 0


@dataclass(frozen=True, slots=True)
class CoreShare:
    """What the driver knows of a worker's cores; which these are, is settled on its machine."""

    cpus: int
    """How many the worker takes."""
    sizes: tuple[tuple[int, int], ...]
    """``(CPUs, how many workers take so many)`` of all workers of the machine, its own among them.
    """
    required: bool = False
    """Whether the user insists: then the driver has made sure that the cores are there."""

    @property
    def total(self) -> int:
        """Cores that all workers of the machine take together."""
        return sum(cpus * workers for cpus, workers in self.sizes)

    @property
    def each(self) -> list[int]:
        """CPUs of each worker of the machine."""
        return [cpus for cpus, workers in self.sizes for _ in range(workers)]

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> CoreShare:
        """Inverse of :func:`dataclasses.asdict`, also after a way through JSON."""
        sizes = tuple((cpus, workers) for cpus, workers in plain["sizes"])
        return cls(plain["cpus"], sizes, plain["required"])


def assign(cores: Sequence[Core], sizes: Sequence[int]) -> list[tuple[int, ...]] | None:
    """CPU numbers for bundles of these sizes, no CPU twice; None if there are too few.

    If there are physical cores enough, no two CPUs of one are given away; else the hyperthreads of
    a core go to one bundle as far as sizes allow. As many bundles as the better of two greedy rules
    finds room for lie within one NUMA node: the largest first, to the node with most free cores,
    which spreads them over the memory channels, or if that splits more, to the fullest node
    where there is room. (The best packing is a hard problem.)

    Args:
        cores: those that may be used.
        sizes: each at least 1.

    Returns:
        In the order of ``sizes``, each ascending.
    """
    offered = _offered(cores, sum(sizes))
    if offered is None:
        return None
    spread, filled = (_pack(offered, sizes, fill) for fill in (False, True))
    return min(spread, filled, key=lambda plan: plan.splits).bundles


def ranges(cpus: Iterable[int]) -> str:
    """``0-3,8``: CPU numbers as Linux writes them."""
    return ",".join(
        f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in _runs(sorted(cpus))
    )


def _runs(ascending: Sequence[int]) -> Iterator[list[int]]:
    numbered = enumerate(ascending)
    for _, run in itertools.groupby(numbered, key=lambda pair: pair[1] - pair[0]):
        yield [cpu for _, cpu in run]


def _offered(cores: Sequence[Core], wanted: int) -> dict[int, list[int]] | None:
    """By NUMA node the CPUs to give away, in order; None if there are fewer than ``wanted``."""
    siblings: dict[tuple[int, str], list[int]] = {}
    for core in sorted(cores, key=lambda core: core.cpu):
        siblings.setdefault((core.numa_node, core.physical), []).append(core.cpu)
    of_each = 1 if wanted <= len(siblings) else None
    offered: dict[int, list[int]] = {}
    for numa_node, physical in siblings:
        mine = siblings[numa_node, physical][:of_each]
        offered.setdefault(numa_node, []).extend(mine)
    return offered if wanted <= sum(map(len, offered.values())) else None


@dataclass(frozen=True, slots=True)
class _Packing:
    bundles: list[tuple[int, ...]]
    splits: int


def _pack(offered: Mapping[int, Sequence[int]], sizes: Sequence[int], fill: bool) -> _Packing:
    """Largest bundles first; those that fit no node whole come last, and are split."""
    free = {numa_node: list(cpus) for numa_node, cpus in sorted(offered.items())}
    found: dict[int, tuple[int, ...]] = {}
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        roomy = [cpus for cpus in free.values() if len(cpus) >= sizes[index]]
        if roomy:
            node = min(roomy, key=len) if fill else max(roomy, key=len)
            found[index] = _cut_off(node, sizes[index])
    split = [index for index in range(len(sizes)) if index not in found]
    for index in split:
        mine: list[int] = []
        while len(mine) < sizes[index]:
            mine += _cut_off(max(free.values(), key=len), sizes[index] - len(mine))
        found[index] = tuple(sorted(mine))
    return _Packing([tuple(sorted(found[index])) for index in range(len(sizes))], len(split))


def _cut_off(cpus: list[int], most: int) -> tuple[int, ...]:
    taken = tuple(cpus[:most])
    del cpus[:most]
    return taken
