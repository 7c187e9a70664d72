"""Running sums, held against a plain list."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.fenwick import Fenwick

SIZES = st.integers(1, 70)


@st.composite
def counted(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A size, and changes that leave every number at 0 or more."""
    size = draw(SIZES)
    row, changes = [0] * size, []
    for index, change in draw(
        st.lists(st.tuples(st.integers(0, size - 1), st.integers(-5, 9)), max_size=40)
    ):
        change = max(change, -row[index])
        row[index] += change
        changes.append((index, change))
    return size, changes


@given(counted())
def test_counts_are_exact_after_every_change(case: tuple[int, list[tuple[int, int]]]) -> None:
    size, changes = case
    fenwick, row = Fenwick(size), [0] * size
    for index, change in changes:
        fenwick.add(index, change)
        row[index] += change
        assert fenwick.total == sum(row)
        assert [fenwick.before(k) for k in range(size + 1)] == [
            sum(row[:k]) for k in range(size + 1)
        ]
    again = pickle.loads(pickle.dumps(fenwick))
    assert again.before(size) == fenwick.total == sum(row)


@given(counted())
def test_find_gives_the_number_at_which_the_running_sum_passes(
    case: tuple[int, list[tuple[int, int]]],
) -> None:
    size, changes = case
    fenwick, row = Fenwick(size), [0] * size
    for index, change in changes:
        fenwick.add(index, change)
        row[index] += change
    everyone = [index for index, count in enumerate(row) for _ in range(count)]
    for rank in range(sum(row) + 2):
        expected = everyone[rank] if rank < len(everyone) else size
        assert fenwick.find(rank) == expected
        assert fenwick.find(rank + 0.5) == expected, "the sums are whole numbers"


@given(
    SIZES.flatmap(
        lambda size: st.lists(
            st.tuples(st.integers(0, size - 1), st.floats(1e-3, 1e3)), max_size=60
        ).map(lambda changes: (size, changes))
    )
)
def test_real_numbers_carry_nothing_but_rounding(
    case: tuple[int, list[tuple[int, float]]],
) -> None:
    """Each number comes and goes again, and every second one stays."""
    size, changes = case
    fenwick, row = Fenwick(size), [0.0] * size
    for index, value in changes:
        fenwick.add(index, value)
    for number, (index, value) in enumerate(changes):
        if number % 2:
            fenwick.add(index, -value)
        else:
            row[index] += value
    rounding = 1e-13 * (1 + sum(value for _, value in changes))
    for k in range(size + 1):
        assert fenwick.before(k) == pytest.approx(sum(row[:k]), rel=0, abs=rounding)
    assert fenwick.total == pytest.approx(sum(row), rel=0, abs=rounding)
