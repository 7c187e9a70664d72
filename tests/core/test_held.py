"""The slices under way, held against a plain list that is searched from end to end."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.held import HeldTrials

CLASSES = 6
UNKNOWN = CLASSES
SLICES = st.lists(
    st.tuples(
        st.integers(0, UNKNOWN),
        st.integers(0, 100),
        st.integers(1, 50),
        st.one_of(st.integers(0, 9).map(float), st.just(math.inf)),
    ),
    max_size=12,
)


@given(SLICES, st.sets(st.integers(0, 11)), st.integers(0, CLASSES - 1), st.integers(0, 150))
def test_agrees_with_a_search(
    slices: list[tuple[int, int, int, float]], ended: set[int], place: int, below: int
) -> None:
    held = HeldTrials(CLASSES)
    for number, (speed_class, start, iterations, end_s) in enumerate(slices):
        held.begin(number, speed_class, start, iterations, end_s)
    left = [one for number, one in enumerate(slices) if number not in ended]
    for number in ended & set(range(len(slices))):
        held.end(number)
    assert len(held) == len(left)
    assert held.progress_iterations == sum(iterations / 2 for _, _, iterations, _ in left)
    levels = [start + iterations / 2 for at, start, iterations, _ in left if at >= place]
    assert (held.count_from(place), held.level_from_iterations(place)) == (len(levels), sum(levels))
    slower = [
        end_s
        for at, start, iterations, end_s in left
        if at > place and start + iterations < below and end_s < math.inf
    ]
    assert held.next_end_of_slower_s(place, below) == min(slower, default=None)
    faster = sorted(end_s for at, _, _, end_s in left if at < place)
    assert held.next_ends_s(place, 3) == faster[:3]


def test_a_slice_that_never_began_cannot_end() -> None:
    with pytest.raises(KeyError):
        HeldTrials(CLASSES).end(0)
