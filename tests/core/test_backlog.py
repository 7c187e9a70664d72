"""What is left to do, held against a plain dictionary."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.backlog import Backlog

STOP = 100
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.one_of(st.none(), st.integers(0, STOP)),  # None: the trial trains no more
        st.sampled_from([1.0, 0.5, 3.0]),
    ),
    max_size=60,
)


@given(CHANGES)
def test_it_is_a_sum_over_the_unfinished(
    changes: list[tuple[int, int | None, float]],
) -> None:
    backlog, naive = Backlog(STOP), dict[int, tuple[int, float]]()
    for trial, iteration, factor in changes:
        if iteration is None:
            backlog.drop(trial)
            naive.pop(trial, None)
        else:
            backlog.set(trial, iteration, factor)
            naive[trial] = (iteration, (STOP - iteration) * factor)
        _agree(backlog, naive)
    _agree(pickle.loads(pickle.dumps(backlog)), naive)


def _agree(backlog: Backlog, naive: dict[int, tuple[int, float]]) -> None:
    assert len(backlog) == len(naive)
    assert backlog.iterations == sum(iteration for iteration, _ in naive.values())
    assert backlog.work == sum(work for _, work in naive.values()), "halves add up exactly"
    if naive:
        assert backlog.last_iteration == min(iteration for iteration, _ in naive.values())


def test_without_trials_nobody_is_last() -> None:
    backlog = Backlog(STOP)
    backlog.set(3, 50, 1.0)
    backlog.drop(3)
    backlog.drop(3)  # has trained no more for a while
    assert (len(backlog), backlog.work, backlog.iterations) == (0, 0.0, 0)
    with pytest.raises(IndexError):
        _ = backlog.last_iteration


def test_a_trial_that_comes_back_to_where_it_was_counts_once() -> None:
    """The list of ages forgets lazily: what it still holds of before must not be believed."""
    backlog = Backlog(STOP)
    for iteration in (10, 30, 10):
        backlog.set(0, iteration, 1.0)
    backlog.set(1, 20, 1.0)
    assert backlog.last_iteration == 10
    backlog.drop(0)
    assert backlog.last_iteration == 20
