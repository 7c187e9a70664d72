"""Cores for workers: none twice, as many as asked for, together on one NUMA node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.experiment.cores import Core, CoreShare, assign, ranges


def machine(nodes: int, physical: int, threads: int = 1) -> list[Core]:
    """As Linux numbers them: first one hyperthread of every physical core, then the others."""
    return [
        Core(thread * nodes * physical + core, str(core), core // physical)
        for thread in range(threads)
        for core in range(nodes * physical)
    ]


@st.composite
def machines(draw: st.DrawFn) -> list[Core]:
    """Some of the CPUs of a machine: a ``cpuset`` may leave out any."""
    nodes, physical, threads = (draw(st.integers(1, most)) for most in (4, 8, 2))
    whole = machine(nodes, physical, threads)
    return draw(st.lists(st.sampled_from(whole), unique=True, min_size=1))


SIZES = st.lists(st.integers(1, 8), min_size=1, max_size=12)


@settings(max_examples=50)
@given(machines(), SIZES)
def test_no_core_twice_and_as_many_as_asked_for(cores: list[Core], sizes: list[int]) -> None:
    found = assign(cores, sizes)
    if sum(sizes) > len(cores):
        assert found is None
        return
    assert found is not None
    assert [len(bundle) for bundle in found] == sizes
    given_away = [cpu for bundle in found for cpu in bundle]
    assert len(set(given_away)) == sum(sizes)
    assert set(given_away) <= {core.cpu for core in cores}


@settings(max_examples=50)
@given(machines(), SIZES)
def test_a_physical_core_is_shared_only_where_there_are_too_few(
    cores: list[Core], sizes: list[int]
) -> None:
    physical = {core.cpu: core.physical for core in cores}
    found = assign(cores, sizes)
    if found is not None and sum(sizes) <= len(set(physical.values())):
        used = [physical[cpu] for bundle in found for cpu in bundle]
        assert len(used) == len(set(used))


@settings(max_examples=50)
@given(machines(), SIZES)
def test_a_bundle_is_split_only_if_no_node_has_room_for_it(
    cores: list[Core], sizes: list[int]
) -> None:
    found = assign(cores, sizes)
    if found is None:
        return
    node = {core.cpu: core.numa_node for core in cores}
    free = free_cores(cores, found, sizes)
    for bundle in found:
        own = [node[cpu] for cpu in bundle]
        if len(set(own)) > 1:
            for where in set(node.values()):
                assert free.get(where, 0) + own.count(where) < len(bundle)


def free_cores(
    cores: Sequence[Core], found: Sequence[Sequence[int]], sizes: Sequence[int]
) -> dict[int, int]:
    """What of the CPUs that were on offer is left, by NUMA node."""
    used = {cpu for bundle in found for cpu in bundle}
    physical = {core.physical for core in cores}
    one_each = sum(sizes) <= len(physical)
    places = {(c.numa_node, c.physical if one_each else c.cpu) for c in cores}
    places -= {(c.numa_node, c.physical if one_each else c.cpu) for c in cores if c.cpu in used}
    numa_nodes = [numa_node for numa_node, _ in places]
    return {numa_node: numa_nodes.count(numa_node) for numa_node in numa_nodes}


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(1, 6))
def test_of_equal_bundles_as_many_lie_whole_as_can(physical: list[int], size: int) -> None:
    numbered = [(node, core) for node, many in enumerate(physical) for core in range(many)]
    cores = [Core(cpu, f"{node}.{core}", node) for cpu, (node, core) in enumerate(numbered)]
    found = assign(cores, [size] * (len(cores) // size))
    assert found is not None
    nodes = [{cores[cpu].numa_node for cpu in bundle} for bundle in found]
    assert sum(len(here) == 1 for here in nodes) == sum(many // size for many in physical)


def test_bundles_are_spread_over_the_nodes() -> None:
    assert assign(machine(nodes=2, physical=4), [2, 2]) == [(0, 1), (4, 5)]


def test_where_spreading_would_split_one_the_nodes_are_filled() -> None:
    assert assign(machine(nodes=2, physical=4), [2, 2, 4]) == [(4, 5), (6, 7), (0, 1, 2, 3)]
    six = machine(nodes=2, physical=6)
    assert assign(six, [2, 2, 2, 6]) == [(6, 7), (8, 9), (10, 11), (0, 1, 2, 3, 4, 5)]
    mixed = machine(nodes=2, physical=3)
    assert assign(mixed, [1, 2, 1, 2]) == [(2,), (0, 1), (5,), (3, 4)]
    uneven = [*machine(nodes=1, physical=4), *(Core(4 + i, f"b{i}", 1) for i in range(3))]
    assert assign(uneven, [2, 1, 4]) == [(4, 5), (6,), (0, 1, 2, 3)]


def test_hyperthreads_of_a_core_stay_together_where_all_are_needed() -> None:
    smt = machine(nodes=1, physical=4, threads=2)
    assert assign(smt, [2, 2]) == [(0, 1), (2, 3)]
    assert assign(smt, [4, 4]) == [(0, 1, 4, 5), (2, 3, 6, 7)]


@pytest.mark.parametrize(
    ("cpus", "told"), [((), ""), ((3,), "3"), ((8, 0, 1, 2), "0-2,8"), ((1, 3), "1,3")]
)
def test_ranges_are_written_as_linux_does(cpus: tuple[int, ...], told: str) -> None:
    assert ranges(cpus) == told


def test_a_share_travels_as_plain_data() -> None:
    share = CoreShare(2, ((1, 3), (2, 2)), required=True)
    assert (share.total, share.each) == (7, [1, 1, 1, 2, 2])
    assert CoreShare.from_dict(asdict(share)) == share
    assert CoreShare.from_dict(json.loads(json.dumps(asdict(share)))) == share
