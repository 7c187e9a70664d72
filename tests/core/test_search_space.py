"""Domains: where values are drawn and how they are moved."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hrfs.core.search_space import (
    Choice,
    Hyperparameter,
    IntRange,
    LogUniform,
    Uniform,
    sample_all,
)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_uniform_fills_its_range_evenly() -> None:
    rng = _rng()
    values = [Uniform(2.0, 6.0).sample(rng) for _ in range(4000)]
    assert all(isinstance(value, float) and 2 <= value <= 6 for value in values)
    quarters = Counter(int(value - 2) for value in values)
    assert all(abs(quarters[quarter] / 4000 - 0.25) < 0.04 for quarter in range(4))


def test_loguniform_makes_all_orders_of_magnitude_equally_likely() -> None:
    rng = _rng()
    values = [LogUniform(1e-4, 1.0).sample(rng) for _ in range(4000)]
    assert all(1e-4 <= value <= 1 for value in values)
    decades = Counter(int(np.floor(np.log10(value))) for value in values)
    assert all(abs(decades[decade] / 4000 - 0.25) < 0.04 for decade in (-4, -3, -2, -1))


def test_whole_numbers_include_both_ends() -> None:
    rng = _rng()
    values = [IntRange(3, 5).sample(rng) for _ in range(300)]
    assert set(values) == {3, 4, 5}
    assert all(type(value) is int for value in values)


def test_choice_draws_every_listed_value() -> None:
    rng = _rng()
    drawn = Counter(Choice(("a", 1, None)).sample(rng) for _ in range(3000))
    assert drawn.keys() == {"a", 1, None}
    assert all(abs(times / 3000 - 1 / 3) < 0.05 for times in drawn.values())


@pytest.mark.parametrize("domain", [Uniform(0.0, 10.0), LogUniform(1e-3, 10.0)])
def test_numbers_are_multiplied_by_both_factors(domain: Uniform) -> None:
    moves = Counter(domain.perturb(1.0, _rng(seed)) for seed in range(400))
    assert moves.keys() == {(0.8, "x0.8"), (1.2, "x1.2")}
    assert abs(moves[0.8, "x0.8"] - 200) < 60


def test_the_papers_learning_rate_cannot_leave_its_range() -> None:
    lr = Uniform(0.0001, 1.0)
    assert {lr.perturb(0.95, _rng(seed))[0] for seed in range(20)} == {0.95 * 0.8, 1.0}
    assert {lr.perturb(0.00011, _rng(seed))[0] for seed in range(20)} == {0.0001, 0.00011 * 1.2}


@example(low=0, span=10, at=1, seed=0)  # where 0.8 and 1.2 round back to the value
@example(low=-10, span=20, at=8, seed=1)
@given(st.integers(-3, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 999))
def test_whole_numbers_move_by_at_least_one_where_they_can(
    low: int, span: int, at: int, seed: int
) -> None:
    domain = IntRange(low, low + span)
    value = low + min(at, span)
    moved, operation = domain.perturb(value, _rng(seed))
    assert type(moved) is int
    assert low <= moved <= low + span
    assert operation in ("x0.8", "x1.2")
    if low < value < low + span:
        assert moved != value


def test_listed_values_move_one_step_and_the_ends_stay() -> None:
    domain = Choice((0.8, 0.9, 0.99))
    seen = {
        value: {domain.perturb(value, _rng(seed)) for seed in range(40)} for value in domain.values
    }
    left, right = "one step left", "one step right"
    assert seen == {
        0.8: {(0.8, left), (0.9, right)},
        0.9: {(0.8, left), (0.99, right)},
        0.99: {(0.9, left), (0.99, right)},
    }


def test_a_foreign_value_is_drawn_anew() -> None:
    domain = Choice((0.8, 0.9, 0.99))
    moves = {domain.perturb(0.123, _rng(seed)) for seed in range(60)}
    foreign = "resampled: not among the listed values"
    assert moves == {(value, foreign) for value in domain.values}


def test_first_values_do_not_depend_on_the_order_in_which_they_are_listed() -> None:
    space = {"b": Hyperparameter(Uniform(0, 1)), "a": Hyperparameter(IntRange(0, 10**6))}
    backwards = dict(reversed(space.items()))
    assert sample_all(space, _rng(5)) == sample_all(backwards, _rng(5))
    assert sample_all(space, _rng(5)) != sample_all(space, _rng(6))
