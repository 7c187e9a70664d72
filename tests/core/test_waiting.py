"""The waiting list, held against a plain sorted list."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.waiting import WaitingList, WaitingTrial

HOMES = st.sampled_from([None, "a", "b"])
STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), HOMES), max_size=60)


def _naive_gap(places: list[WaitingTrial], leader: int, interval: int) -> int:
    return sum(-((place.iteration - leader) // interval) for place in places)


@given(STEPS, st.integers(1, 50), st.integers(0, 60))
def test_it_is_a_sorted_list(
    steps: list[tuple[int, int, str | None]], interval: int, leader: int
) -> None:
    """Each step adds a trial, or takes it out if it waits."""
    waiting, naive = WaitingList(interval), list[WaitingTrial]()
    for arrival, (trial, iteration, home) in enumerate(steps):
        known = next((place for place in naive if place.trial == trial), None)
        if known is None:
            waiting.add(trial, iteration, home)
            naive.append(WaitingTrial(iteration, arrival, trial, home))
            naive.sort(key=lambda place: place.iteration)  # stable: equals by arrival
        else:
            waiting.remove(trial, known.iteration)
            naive.remove(known)
        _agree(waiting, naive, leader, interval)
    _agree(pickle.loads(pickle.dumps(waiting)), naive, leader, interval)


def _agree(waiting: WaitingList, naive: list[WaitingTrial], leader: int, interval: int) -> None:
    def plain(places: list[WaitingTrial]) -> list[tuple[int, int, str | None]]:
        return [(place.iteration, place.trial, place.home) for place in places]

    assert plain(list(waiting)) == plain(naive)
    assert len(waiting) == len(naive)
    assert waiting.gap_slices(leader) == _naive_gap(naive, leader, interval)
    if naive:
        assert plain([waiting.first, waiting.last]) == plain([naive[0], naive[-1]])
        assert waiting[len(naive) // 2].trial == naive[len(naive) // 2].trial
    assert {*waiting.homes} == {place.home for place in naive}
    for home in (None, "a", "b"):
        mine = next((place.trial for place in naive if place.home == home), None)
        first = waiting.first_at(home)
        assert (first.trial if first else None) == mine


def test_what_does_not_wait_there_cannot_be_taken_out() -> None:
    waiting = WaitingList(50)
    waiting.add(3, 50)
    for trial, iteration in ((3, 0), (4, 50)):
        with pytest.raises(KeyError, match=f"trial {trial} does not wait at iteration {iteration}"):
            waiting.remove(trial, iteration)
    assert [place.trial for place in waiting] == [3]


def test_a_trial_waits_once() -> None:
    waiting = WaitingList(50)
    waiting.add(3, 50)
    with pytest.raises(ValueError, match=r"^trial 3 waits already$"):
        waiting.add(3, 100)
    assert len(waiting) == 1


def test_an_empty_list_has_no_ends() -> None:
    for end in ("first", "last"):
        with pytest.raises(IndexError):
            getattr(WaitingList(50), end)
    assert WaitingList(50).gap_slices(1000) == 0
