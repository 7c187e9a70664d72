"""Exploit and explore: who is compared with whom, who copies whom, and how values move."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from hrfs.core.pbt import Mode, PbtSettings, Standings, explore, merit, mutable
from hrfs.core.search_space import Choice, Hyperparameter, Uniform

SPACE = {
    "lr": Hyperparameter(Uniform(0.001, 1.0), Uniform(0.0001, 1.0)),
    "momentum": Hyperparameter(Uniform(0.001, 1.0), Choice((0.8, 0.9, 0.99))),
    "width": Hyperparameter(Choice((8, 16, 32))),
}


def _standings(*scores: float, mode: Mode = "max") -> Standings:
    """Trials 0, 1, … with these scores at the first boundary."""
    standings = Standings()
    for trial, score in enumerate(scores):
        standings.record(trial, 1, merit(score, mode))
    return standings


# Comparison at equal age


def test_a_young_trial_is_not_beaten_by_the_late_score_of_an_old_one() -> None:
    standings = Standings()
    for generation, score in enumerate([0.3, 0.5, 0.9], start=1):
        standings.record(0, generation, score)
    standings.record(1, 1, 0.4)
    assert standings.compare(1, 0) == 1  # 0.4 against 0.3, both after one interval
    assert standings.ranking() == [0, 1]
    assert standings.donors_for(1, 0.25) == []


def test_the_last_boundary_that_both_passed_decides() -> None:
    standings = Standings()
    for generation, (mine, theirs) in enumerate([(0.9, 0.1), (0.2, 0.3)], start=1):
        standings.record(0, generation, mine)
        standings.record(1, generation, theirs)
    standings.record(0, 3, 0.99)
    assert (standings.compare(0, 1), standings.compare(1, 0)) == (0, 1)


def test_trials_without_a_common_boundary_are_even() -> None:
    standings = Standings()
    standings.record(0, 1, 0.1)
    standings.record(1, 2, 0.9)
    assert standings.compare(0, 1) == standings.compare(1, 0) == 0.5


@pytest.mark.parametrize(
    ("trials", "size"), [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (8, 2), (9, 3), (20, 5)]
)
def test_sizes_of_the_quantiles(trials: int, size: int) -> None:
    standings = _standings(*(float(trial) for trial in range(trials)))
    donors = {trial: standings.donors_for(trial, 0.25) for trial in range(trials)}
    upper = list(range(trials - size, trials))
    assert donors == {trial: upper if trial < size else [] for trial in range(trials)}


def test_lower_and_upper_quantile_never_overlap() -> None:
    """Half of three is two, which would make the middle one both taker and giver."""
    standings = _standings(0.1, 0.2, 0.3)
    assert [standings.donors_for(trial, 0.5) for trial in range(3)] == [[2], [], []]


def test_a_quantile_of_zero_never_exploits() -> None:
    assert _standings(math.nan, 0.1, 0.9).donors_for(0, 0.0) == []


def test_the_minimum_may_be_the_aim() -> None:
    standings = _standings(0.1, 0.2, 0.3, 0.4, mode="min")
    assert standings.ranking() == [3, 2, 1, 0]
    assert standings.donors_for(3, 0.25) == [0]


@pytest.mark.parametrize("trials", [2, 4, 8])
def test_equals_stay_as_they_are(trials: int) -> None:
    standings = _standings(*([0.5] * trials))
    assert all(standings.donors_for(trial, 0.5) == [] for trial in range(trials))


def test_an_unknown_or_forgotten_trial_has_no_donors() -> None:
    standings = _standings(0.1, 0.9)
    assert standings.donors_for(7, 0.25) == []
    standings.forget(0)
    standings.forget(0)
    assert standings.donors_for(0, 0.25) == []
    assert standings.ranking() == [1]


# Divergence


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_worst(score: float, mode: Mode) -> None:
    assert merit(score, mode) == -math.inf
    standings = _standings(0.1, score, 0.2, 0.3, mode=mode)
    assert standings.ranking()[0] == 1
    assert len(standings.donors_for(1, 0.25)) == 1


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_trial_that_led_and_diverged_is_exploited_and_never_a_donor(mode: Mode) -> None:
    scores = [0.9, 0.1, 0.2, 0.3] if mode == "max" else [0.1, 0.9, 0.8, 0.7]
    standings = _standings(*scores, mode=mode)
    assert standings.donors_for(1, 0.25) == [0]
    standings.record(0, 2, merit(math.nan, mode))  # nobody else is that far yet
    assert standings.ranking() == [0, 1, 2, 3]
    assert standings.donors_for(0, 0.25) == [3]
    assert standings.donors_for(1, 0.25) == []  # no longer the lowest of four
    standings.record(0, 3, merit(scores[0], mode))  # recovered, having taken over 3's weights
    assert standings.ranking() == [1, 2, 3, 0]


def test_every_diverged_trial_is_exploited_even_beyond_the_quantile() -> None:
    standings = _standings(math.nan, math.nan, math.nan, 0.1)
    assert [standings.donors_for(trial, 0.25) for trial in range(4)] == [[3], [3], [3], []]


def test_diverged_trials_take_nothing_from_each_other() -> None:
    standings = _standings(0.9, 0.1)
    standings.record(0, 2, -math.inf)
    standings.record(1, 3, -math.inf)
    assert [standings.donors_for(trial, 0.5) for trial in range(2)] == [[], []]


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
