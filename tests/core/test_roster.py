"""The pool in order of speed, held against plain lists that are searched from end to end."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.roster import PER_OCTAVE, Roster, speed_class

SPEEDS = st.one_of(st.sampled_from([1.0, 1.01, 2.0, 100.0]), st.floats(1e-3, 1e3))
NAMES = st.sampled_from("abcdef")
KINDS = {"a": "", "b": "", "c": "cpu", "d": "cpu", "e": "gpu", "f": "gpu"}
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("expect"), NAMES, st.none()),
        st.tuples(st.just("set"), NAMES, SPEEDS),
        st.tuples(st.sampled_from(["drop", "retire"]), NAMES, st.none()),
        st.tuples(
            st.just("begin"),
            NAMES,
            st.tuples(st.integers(0, 1000), st.integers(1, 50), st.integers(0, 9).map(float)),
        ),
        st.tuples(st.just("end"), st.integers(0, 9), st.none()),
    ),
    max_size=40,
)
NEAR = 1e-9


@dataclass
class Naive:
    """The same books, kept without any order."""

    speeds: dict[str, float] = field(default_factory=dict)
    retired: dict[str, float] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    held: dict[int, tuple[float | None, int, int, float]] = field(default_factory=dict)
    """By slice: speed of its worker when it began, first iteration, iterations, end."""
    worker_of: dict[int, str] = field(default_factory=dict)

    def classes_before(self, speed: float) -> list[float]:
        return [s for s in self.speeds.values() if speed_class(s) < speed_class(speed)]


def _play(changes: list[tuple[str, object, object]]) -> tuple[Roster, Naive]:
    roster, naive, slices = Roster(), Naive(), 0
    for what, whom, value in changes:
        match what, whom, value:
            case "expect", str(worker), _ if worker not in naive.speeds | naive.retired:
                roster.expect(worker, KINDS[worker])
                naive.unknown.add(worker)
            case "set", str(worker), float(speed) if worker not in naive.retired and (
                KINDS[worker] or worker not in naive.worker_of.values()
            ):  # while it is measured, only its like can tell how fast it is
                roster.set_speed(worker, speed)
                naive.speeds[worker] = speed
                naive.unknown.discard(worker)
            case "drop", str(worker), _ if worker not in naive.worker_of.values():
                roster.drop(worker)
                naive.unknown.discard(worker)
                naive.speeds.pop(worker, None)
                naive.retired.pop(worker, None)
            case "retire", str(worker), _ if worker in naive.speeds:
                roster.retire(worker)
                naive.retired[worker] = naive.speeds.pop(worker)
            case "begin", str(worker), (int(start), int(iterations), float(end_s)) if (
                worker in naive.unknown | naive.speeds.keys()
                and worker not in naive.worker_of.values()
            ):
                roster.begin(slices, worker, start, iterations, end_s)
                naive.held[slices] = (naive.speeds.get(worker), start, iterations, end_s)
                naive.worker_of[slices] = worker
                slices += 1
            case "end", int(which), _ if naive.held:
                number = sorted(naive.held)[which % len(naive.held)]
                roster.end(number)
                del naive.held[number], naive.worker_of[number]
    return roster, naive


@given(CHANGES)
def test_sums_and_counts(changes: list[tuple[str, object, object]]) -> None:
    roster, naive = _play(changes)
    for books in (roster, pickle.loads(pickle.dumps(roster))):
        assert len(books) == len(naive.speeds)
        assert {name: books.speed(name) for name in "abcdef"} == {
            name: naive.speeds.get(name) for name in "abcdef"
        }
        assert books.total_speed == pytest.approx(sum(naive.speeds.values()), abs=NEAR)
        if naive.speeds:
            squares = math.fsum(speed**2 for speed in naive.speeds.values())
            alike = math.fsum(naive.speeds.values()) ** 2 / squares
            assert alike - 1e-3 <= books.equivalent_workers <= alike + 1 + 1e-3
        assert books.running == len(naive.held)
        assert books.progress_iterations == sum(k / 2 for _, _, k, _ in naive.held.values())
        _agree_on_the_unknown(books, naive)
        fastest = max(naive.retired, key=lambda n: (naive.retired[n], -ord(n)), default=None)
        assert books.fastest_retired == fastest


def _agree_on_the_unknown(books: Roster, naive: Naive) -> None:
    probing = [naive.worker_of[n] for n, (speed, *_) in naive.held.items() if speed is None]
    assert {w for kind in ("", "cpu", "gpu") for w in books.unknown_of(kind)} == naive.unknown
    assert books.probes == len(probing)
    kinds = {KINDS[worker] for worker in probing}
    assert {kind for kind in ("", "cpu", "gpu") if books.is_probed(kind)} == kinds
    free = naive.unknown - set(probing)
    assert books.unmeasured == sum(not (KINDS[w] and KINDS[w] in kinds) for w in free)


@given(CHANGES, SPEEDS)
def test_who_is_faster_and_what_they_can_get_at(
    changes: list[tuple[str, object, object]], speed: float
) -> None:
    roster, naive = _play(changes)
    before = naive.classes_before(speed)
    away = [
        start + iterations / 2
        for of, start, iterations, _ in naive.held.values()
        if of is None or speed_class(of) >= speed_class(speed)
    ]
    faster = roster.faster_than(speed)
    assert (faster.workers, faster.out_of_reach) == (len(before), len(away))
    assert roster.count_faster(speed) == len(before)
    assert faster.speed == pytest.approx(sum(before), abs=NEAR)
    assert faster.level_out_of_reach_iterations == sum(away)


@given(CHANGES, st.integers(1, 8))
def test_the_fastest_together(changes: list[tuple[str, object, object]], workers: int) -> None:
    roster, naive = _play(changes)
    in_order = sorted(naive.speeds.values(), reverse=True)
    # Within a class all count as equal: as much as a class is wide may be off.
    width = 2 ** (1 / PER_OCTAVE)
    best = sum(in_order[:workers])
    assert best / width - NEAR <= roster.fastest(workers) <= best * (1 + 1e-12) + NEAR
    if in_order:
        assert in_order[0] / width <= roster.top_speed <= in_order[0] * (1 + NEAR)


@given(CHANGES, SPEEDS, st.integers(1, 8))
def test_the_next_ends_of_faster_workers(
    changes: list[tuple[str, object, object]], speed: float, count: int
) -> None:
    roster, naive = _play(changes)  # no more slices than it looks at
    ends = sorted(
        end_s
        for of, _, _, end_s in naive.held.values()
        if of is not None and speed_class(of) < speed_class(speed)
    )
    assert roster.next_ends_s(speed, count) == ends[:count]


@given(SPEEDS, SPEEDS)
def test_classes_are_in_order_of_speed(one: float, other: float) -> None:
    if one > other:
        assert speed_class(one) <= speed_class(other)
    if one > other * 2 ** (1 / PER_OCTAVE) * (1 + NEAR):
        assert speed_class(one) < speed_class(other)


def test_speeds_beyond_all_classes_count_as_the_last_ones() -> None:
    assert speed_class(1e300) == speed_class(1e200) == 0
    assert speed_class(1e-300) == speed_class(1e-200) > speed_class(1e-6)


def test_of_many_slices_only_those_that_end_next_are_looked_at() -> None:
    """It may give fewer ends than there are, and never a wrong one."""
    roster = Roster()
    roster.set_speed("slow", 1.0)
    roster.set_speed("fast", 10.0)
    for number in range(100):
        roster.begin(number, "slow", 0, 1, float(number))
    roster.begin(100, "fast", 0, 1, 0.5)
    roster.begin(101, "fast", 0, 1, 1000.0)
    assert roster.next_ends_s(2.0, 2) == [0.5]
