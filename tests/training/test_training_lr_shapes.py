"""The shape of the learning rate as a function of the iteration; no torch."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.experiment.errors import ConfigError
from hrfs.training.learning_rate import ShapedRate
from hrfs.training.lr_shapes import LR_SCHEDULES, START, LrShape

shapes = st.builds(
    LrShape,
    name=st.sampled_from(["cosine", "one_cycle"]),
    iterations=st.integers(1, 5000),
    warmup_fraction=st.floats(0.0, 0.9),
)


def factors(shape: LrShape) -> list[float]:
    return [shape.factor(iteration) for iteration in range(shape.iterations)]


@given(shapes)
def test_a_factor_is_above_zero_and_at_most_one_within_a_life(shape: LrShape) -> None:
    assert all(0 < factor <= 1 for factor in factors(shape))


@given(shapes)
def test_the_steps_are_no_larger_than_the_steepest_slope_allows(shape: LrShape) -> None:
    warmup = shape.warmup_fraction if shape.name == "one_cycle" else 0.0
    slope = max((1 - START) / warmup if warmup else 0.0, math.pi / 2 / (1 - warmup))
    for before, after in pairwise(factors(shape)):
        assert abs(after - before) <= slope / shape.iterations + 1e-9


@given(shapes)
def test_it_rises_once_and_falls_once(shape: LrShape) -> None:
    course = factors(shape)
    top = course.index(max(course))
    assert course[: top + 1] == sorted(course[: top + 1])
    assert course[top:] == sorted(course[top:], reverse=True)
    if shape.name == "cosine":
        assert top == 0


@given(st.integers(1, 5000))
def test_where_a_cosine_begins_and_ends(iterations: int) -> None:
    shape = LrShape("cosine", iterations, 0.2)
    assert shape.factor(0) == 1
    assert shape.factor(iterations) == pytest.approx(0, abs=1e-15)
    assert shape.factor(iterations + 7) == shape.factor(iterations)
    assert shape.factor(iterations - 1) <= (math.pi / 2 / iterations) ** 2 + 1e-12


@given(st.integers(1, 500), st.integers(1, 500))
def test_where_a_cycle_begins_peaks_and_ends(rising: int, falling: int) -> None:
    iterations = rising + falling
    shape = LrShape("one_cycle", iterations, rising / iterations)
    assert shape.factor(0) == pytest.approx(START)
    assert shape.factor(rising) == pytest.approx(1)
    assert shape.factor(iterations - 1) <= (math.pi / 2 / falling) ** 2 + 1e-12
    assert shape.factor(iterations) == pytest.approx(0, abs=1e-15)


def test_values_by_hand() -> None:
    assert factors(LrShape("cosine", 4, 0.5)) == pytest.approx(
        [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )
    assert factors(LrShape("one_cycle", 8, 0.5)) == pytest.approx(
        [0.1, 0.325, 0.55, 0.775, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )


@given(st.integers(1, 300), st.integers(1, 9), st.floats(0.0, 0.9), st.data())
def test_it_depends_on_the_part_of_a_life_alone(
    iterations: int, times: int, warmup: float, data: st.DataObject
) -> None:
    iteration = data.draw(st.integers(0, iterations))
    for name in ("cosine", "one_cycle"):
        short = LrShape(name, iterations, warmup).factor(iteration)
        assert LrShape(name, times * iterations, warmup).factor(times * iteration) == short


@given(st.integers(1, 300))
def test_a_cycle_without_a_rise_is_a_cosine(iterations: int) -> None:
    cosine = factors(LrShape("cosine", iterations, 0.2))
    assert factors(LrShape("one_cycle", iterations, 0.0)) == cosine


def test_every_group_gets_its_own_rate_by_the_same_factor_and_its_peak_back() -> None:
    groups = [{"lr": 0.4, "momentum": 0.9}, {"momentum": 0.9}, {"lr": 0.04}]
    rate = ShapedRate(LrShape("cosine", 8, 0.2), groups)
    assert rate.last is None
    for iteration, factor in ((4, 0.5), (0, 1.0), (4, 0.5)):
        rate.write(iteration)
        assert (groups[0]["lr"], groups[2]["lr"]) == pytest.approx((0.4 * factor, 0.04 * factor))
        assert rate.last == groups[0]["lr"]
    rate.put_back()
    assert groups == [{"lr": 0.4, "momentum": 0.9}, {"momentum": 0.9}, {"lr": 0.04}]


def test_an_optimizer_without_a_rate_is_told() -> None:
    message = (
        r"^trainer\.lr_schedule=cosine: needs an optimizer with lr in a parameter group; "
        r"set it to constant$"
    )
    with pytest.raises(ConfigError, match=message):
        ShapedRate(LrShape("cosine", 8, 0.2), [{"momentum": 0.9}])


def test_the_names_are_those_that_settings_take() -> None:
    assert LR_SCHEDULES == ("constant", "cosine", "one_cycle")
