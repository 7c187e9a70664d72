"""Ranks among trials of equal age, held against a naive count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.standings import Standing, Standings

MERITS = st.one_of(st.sampled_from([-math.inf, 0.0, 0.5, 1.0]), st.floats(0, 1))
QUANTILES = st.sampled_from([0.0, 0.1, 0.25, 0.5])


def _standings(*merits: float) -> Standings:
    """Trials 0, 1, … with these merits at the first boundary."""
    standings = Standings()
    for trial, merit in enumerate(merits):
        standings.record(trial, 1, merit)
    return standings


def _of(standings: Standings, trial: int) -> Standing:
    standing = standings.of(trial)
    assert standing is not None
    return standing


# Equal age


def test_the_late_score_of_an_old_trial_counts_for_nothing() -> None:
    standings = _standings(0.3)
    standings.record(0, 2, 0.9)
    standings.record(1, 1, 0.4)
    young = _of(standings, 1)
    assert (young.worse, young.equal, young.passed) == (1, 1, 2)  # 0.4 against 0.3
    assert not young.is_lower(0.5, 0.0)


def test_those_that_come_later_are_not_waited_for() -> None:
    standings = _standings(0.3)
    first = _of(standings, 0)
    assert (first.worse, first.equal, first.passed) == (0, 1, 1)
    assert len(first.donors(0.5)) == 0


def test_who_passed_nothing_or_was_forgotten_has_no_standing() -> None:
    standings = _standings(0.1, 0.9)
    assert standings.of(7) is None
    assert standings.rescuers(7, 0.5) == []
    standings.forget(0)
    standings.forget(0)
    assert standings.of(0) is None
    assert _of(standings, 1).passed == 1


def test_a_boundary_is_passed_once_and_in_order() -> None:
    standings = _standings(0.1)
    for generation in (1, 0):
        with pytest.raises(ValueError, match=f"^trial 0 has passed boundary {generation} before$"):
            standings.record(0, generation, 0.2)


# The lower quantile


def test_the_worst_of_two_is_in_a_lower_half_and_by_a_draw_in_a_lower_quarter() -> None:
    worst = _of(_standings(0.1, 0.9), 0)
    assert worst.is_lower(0.5, 0.999)
    assert worst.is_lower(0.25, 0.499)
    assert not worst.is_lower(0.25, 0.501)


@pytest.mark.parametrize("passed", [2, 3, 4, 7, 20])
@pytest.mark.parametrize("quantile", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("levels", [1, 2, 1000])
def test_exchangeable_trials_are_lower_with_the_probability_of_the_quantile(
    passed: int, quantile: float, levels: int
) -> None:
    """Over all trials and 200 evenly spread draws, ties or not: exact but for the raster."""
    merits = np.random.default_rng(passed).integers(levels, size=passed).tolist()
    standings = _standings(*map(float, merits))
    draws = (np.arange(200) + 0.5) / 200
    inside = [
        _of(standings, trial).is_lower(quantile, draw) for trial in range(passed) for draw in draws
    ]
    assert np.mean(inside) == pytest.approx(quantile, abs=0.5 / 200)


@given(st.lists(MERITS, min_size=1, max_size=30), QUANTILES, st.floats(0, 1, exclude_max=True))
def test_ranks_are_those_of_a_naive_count(
    merits: list[float], quantile: float, draw: float
) -> None:
    standings = _standings(*merits)
    for trial, merit in enumerate(merits):
        standing = _of(standings, trial)
        worse, equal = sum(m < merit for m in merits), merits.count(merit)
        assert (standing.worse, standing.equal, standing.passed) == (worse, equal, len(merits))
        if merit == -math.inf:
            assert standing.is_lower(quantile, draw) is (quantile > 0)
        else:
            lower = worse + draw * equal < len(merits) * quantile
            assert standing.is_lower(quantile, draw) is lower
        upper = sorted(merits)[len(merits) - math.ceil(len(merits) * quantile) :]
        expected = sorted(m for m in upper if m > merit)
        assert [merits[donor] for donor in standing.donors(quantile)] == expected
        assert all(merits[donor] > -math.inf for donor in standing.donors(quantile))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), MERITS), max_size=60),
    QUANTILES,
)
def test_any_order_of_crossings_and_removals_leaves_what_a_naive_table_has(
    story: list[tuple[int, bool, float]], quantile: float
) -> None:
    standings = Standings()
    table: dict[int, list[float]] = {}
    for trial, removed, merit in story:
        if removed:
            standings.forget(trial)
            table.pop(trial, None)
        else:
            mine = table.setdefault(trial, [])
            mine.append(merit)
            standings.record(trial, len(mine), merit)
        for number, merits in table.items():
            at = len(merits)
            peers = [other[at - 1] for other in table.values() if len(other) >= at]
            standing = _of(standings, number)
            assert standing.passed == len(peers)
            assert standing.worse == sum(peer < merits[-1] for peer in peers)
            assert {*standing.donors(quantile)} <= table.keys() - {number}


# Donors


def test_donors_are_the_upper_quantile_and_strictly_better() -> None:
    standings = _standings(*(float(trial) for trial in range(9)))
    assert [*_of(standings, 0).donors(0.25)] == [6, 7, 8]
    assert [*_of(standings, 7).donors(0.25)] == [8]
    assert [*_of(standings, 8).donors(0.25)] == []
    assert [*_of(standings, 0).donors(0.0)] == []
    with pytest.raises(IndexError):
        _of(standings, 0).donors(0.25)[3]


def test_equals_give_each_other_nothing() -> None:
    standings = _standings(0.5, 0.5, 0.5)
    assert all(len(_of(standings, trial).donors(0.5)) == 0 for trial in range(3))


# Divergence


def test_every_diverged_trial_is_lower_even_beyond_the_quantile() -> None:
    standings = _standings(-math.inf, -math.inf, -math.inf, 0.1)
    for trial in range(3):
        assert _of(standings, trial).is_lower(0.25, 0.999)
        assert [*_of(standings, trial).donors(0.25)] == [3]


def test_a_leader_that_diverges_alone_is_rescued_from_the_last_boundary_with_others() -> None:
    standings = _standings(0.9, 0.5, 0.7, 0.6, -math.inf)
    for generation in (2, 3):
        standings.record(0, generation, -math.inf)
    assert len(_of(standings, 0).donors(0.25)) == 0
    assert standings.rescuers(0, 0.25) == [3, 2]
    standings.record(3, 2, 0.1)
    assert standings.rescuers(0, 0.25) == [3]


def test_diverged_trials_take_nothing_from_each_other() -> None:
    standings = _standings(-math.inf, -math.inf)
    assert len(_of(standings, 0).donors(0.5)) == 0
    assert standings.rescuers(0, 0.5) == []
