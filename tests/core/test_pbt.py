"""Exploit and explore: what counts as good, and how values move."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from hrfs.core.pbt import Mode, PbtSettings, explore, merit, mutable
from hrfs.core.search_space import Choice, Hyperparameter, Uniform

SPACE = {
    "lr": Hyperparameter(Uniform(0.001, 1.0), Uniform(0.0001, 1.0)),
    "momentum": Hyperparameter(Uniform(0.001, 1.0), Choice((0.8, 0.9, 0.99))),
    "width": Hyperparameter(Choice((8, 16, 32))),
}


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_worst(score: float, mode: Mode) -> None:
    assert merit(score, mode) == -math.inf


def test_the_minimum_may_be_the_aim() -> None:
    assert merit(0.1, "max") < merit(0.2, "max")
    assert merit(0.1, "min") > merit(0.2, "min")


# Explore


def test_one_in_four_is_drawn_anew() -> None:
    """4000 draws: standard deviation 0.7 points, so 3 points is beyond four of them."""
    start = {"lr": 0.1, "momentum": 0.9, "width": 16}
    operations: dict[str, Counter[str]] = {"lr": Counter(), "momentum": Counter()}
    for seed in range(4000):
        _, done = explore(start, SPACE, PbtSettings(), np.random.default_rng(seed))
        assert done.keys() == {"lr", "momentum"}
        for name, operation in done.items():
            operations[name][operation] += 1
    share = {name: {o: n / 4000 for o, n in counts.items()} for name, counts in operations.items()}
    expected = {
        "lr": {"resampled": 0.25, "x0.8": 0.375, "x1.2": 0.375},
        "momentum": {"resampled": 0.25, "one step left": 0.375, "one step right": 0.375},
    }
    for name, shares in expected.items():
        assert share[name] == pytest.approx(shares, abs=0.03)


@pytest.mark.parametrize(("probability", "resampled"), [(0.0, False), (1.0, True)])
def test_the_probability_is_the_users(probability: float, resampled: bool) -> None:
    settings = PbtSettings(resample_probability=probability)
    for seed in range(50):
        _, done = explore({"lr": 0.1}, SPACE, settings, np.random.default_rng(seed))
        assert (done["lr"] == "resampled") is resampled


def test_values_never_leave_their_mutation_range() -> None:
    rng = np.random.default_rng(1)
    seen = set()
    for first in (0.0001, 0.001, 0.5, 1.0):
        values = {"lr": first, "momentum": 0.5, "width": 8}
        for _ in range(300):
            values, _ = explore(values, SPACE, PbtSettings(resample_probability=0.02), rng)
            assert 0.0001 <= values["lr"] <= 1.0
            assert values["momentum"] in (0.8, 0.9, 0.99)
            seen.add(values["lr"])
    assert {0.0001, 1.0} <= seen  # it did run against both ends


def test_only_what_may_be_mutated_changes_and_the_input_stays() -> None:
    assert list(mutable(SPACE)) == ["lr", "momentum"]
    start = {"lr": 0.1, "momentum": 0.9, "width": 16, "augment": True}
    kept = dict(start)
    changed, operations = explore(start, SPACE, PbtSettings(), np.random.default_rng(0))
    assert start == kept
    assert changed.keys() == start.keys()
    assert (changed["width"], changed["augment"]) == (16, True)
    assert operations.keys() == {"lr", "momentum"}
    assert changed["lr"] != 0.1


def test_the_seed_decides() -> None:
    def draws(seed: int) -> list[object]:
        rng = np.random.default_rng(seed)
        return [explore({"lr": 0.1, "momentum": 0.9}, SPACE, PbtSettings(), rng) for _ in range(5)]

    assert draws(3) == draws(3)
    assert draws(3) != draws(4)


@pytest.mark.parametrize("quantile", [-0.1, 0.6, math.nan])
def test_a_quantile_out_of_range_is_refused(quantile: float) -> None:
    with pytest.raises(ValueError, match=r"^quantile=.*: must lie within 0 and 0\.5$"):
        PbtSettings(quantile=quantile)


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_a_probability_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match=r"^resample_probability=.*: must lie within 0 and 1$"):
        PbtSettings(resample_probability=probability)
