"""Freed memory stays while a worker trains, and goes back to the system between slices."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from training_helpers import VALUES, request, settings

from hrfs.training import heap
from hrfs.training.heap import BACK_MIB_PER_S, DEARER, Heap
from hrfs.training.runner import build

pytestmark = pytest.mark.torch
glibc = pytest.mark.skipif(heap._glibc() is None, reason="the C library is not glibc")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of glibc's, whatever this machine has."""
    for name in [name for name in os.environ if name.startswith(heap.USERS_OWN)]:
        monkeypatch.delenv(name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is; to be moved."""
    now_s = [1000.0]
    monkeypatch.setattr(heap.time, "monotonic", lambda: now_s[0])
    return now_s


def library(
    monkeypatch: pytest.MonkeyPatch, trim: Callable[[object], object]
) -> list[tuple[int, int]]:
    """Stands in for glibc; what ``mallopt`` was told."""
    told: list[tuple[int, int]] = []
    stand_in = SimpleNamespace(malloc_trim=trim, mallopt=lambda *pair: told.append(pair))
    monkeypatch.setattr(heap, "_glibc", lambda: stand_in)
    return told


def keeping() -> Heap:
    """One that keeps what is freed from now on."""
    kept = Heap()
    kept.keep_freed()
    return kept


def test_memory_is_given_back_again_after_a_multiple_of_what_it_took(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    trims: list[float] = []

    def trim(_: object) -> None:
        trims.append(clock[0])
        clock[0] += 0.2

    library(monkeypatch, trim)
    monkeypatch.setattr(heap, "_resident_mib", lambda: 1000.0)
    tested = keeping()
    tested.give_back("trained")
    clock[0] += DEARER * 0.2 - 0.1
    tested.give_back("trained")
    assert trims == [1000.0]
    clock[0] += 0.2
    tested.give_back("trained")
    assert len(trims) == 2
    tested.give_back("evaluated")
    assert len(trims) == 3


def test_what_is_given_back_counts_as_the_time_to_get_it_again(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([1000.0])
    trims: list[object] = []
    library(monkeypatch, trims.append)
    monkeypatch.setattr(heap, "_resident_mib", lambda: next(sizes, 600.0))
    tested = keeping()
    tested.give_back("trained")
    clock[0] += DEARER * 400.0 / BACK_MIB_PER_S - 0.1
    tested.give_back("trained")
    assert len(trims) == 1
    clock[0] += 0.2
    tested.give_back("trained")
    assert len(trims) == 2


def test_where_memory_is_scarce_it_is_given_back_whatever_it_takes(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    trims: list[object] = []
    library(monkeypatch, trims.append)
    sizes = iter([1000.0])
    monkeypatch.setattr(heap, "_resident_mib", lambda: next(sizes, 600.0))
    monkeypatch.setattr(heap, "_available_mib", lambda: 700.0)
    tested = keeping()
    tested.give_back("trained")
    tested.give_back("trained")
    assert len(trims) == 1
    monkeypatch.setattr(heap, "_available_mib", lambda: 500.0)
    tested.give_back("trained")
    assert len(trims) == 2


@glibc
def test_what_is_available_is_read_from_the_system() -> None:
    whole_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert 0 < heap._available_mib() < whole_mib


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(heap, "_glibc", lambda: None)
    monkeypatch.setattr(heap, "_resident_mib", lambda: looked.append(True))
    keeping().give_back("trained")
    assert looked == []


def test_what_was_not_kept_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU worker, whose memory is that of the GPU."""
    trims: list[object] = []
    library(monkeypatch, trims.append)
    Heap().give_back("trained")
    assert trims == []


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_the_user_has_set_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[object] = []
    told = library(monkeypatch, trims.append)
    monkeypatch.setenv(name, "1")
    keeping().give_back("trained")
    assert told == trims == []


@glibc
def test_freed_memory_goes_back_to_the_system() -> None:
    blocks = [bytearray(64 * 1024) for _ in range(3000)]
    kept = blocks[::300]  # so that the heap cannot simply shrink from its end
    tested = keeping()
    before = heap._resident_mib()
    del blocks
    assert heap._resident_mib() > before - 50
    tested.give_back("trained")
    assert heap._resident_mib() < before - 100
    assert len(kept) == 10


FAULTS = """
import resource
from hrfs.training.heap import Heap
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        bytearray(40 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults())
Heap().keep_freed()
faults()
print(faults())
"""


@glibc
def test_memory_that_is_kept_is_not_cleared_again() -> None:
    asked = [sys.executable, "-c", FAULTS]
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    pages = 20 * 40 * 2**20 // os.sysconf("SC_PAGE_SIZE")
    before, after = map(int, told)
    assert before > pages / 2
    assert after < pages / 100


def test_a_slice_keeps_memory_and_then_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[object] = []
    told = library(monkeypatch, trims.append)
    runner = build(settings())
    runner.begin(3)
    runner.run(request(0, 1, **VALUES))
    assert len(told) == 2
    assert len(trims) == 2  # trained, evaluated
