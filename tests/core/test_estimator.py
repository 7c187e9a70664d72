"""First contact, kinds, outliers, drift, bad input."""

from __future__ import annotations

import math
import pickle
import random

import pytest
from estimator_play import Cluster, Planted, known, one_worker

from hrfs.core.estimator import SpeedEstimator


def slice_of(rng: random.Random, seconds_per_iteration: float) -> tuple[int, float]:
    """Iterations and seconds of a slice with 10 % noise and 3 s of overhead."""
    iterations = rng.randint(10, 50)
    return iterations, 3.0 + iterations * seconds_per_iteration * math.exp(rng.gauss(0.0, 0.1))


def off(estimator: SpeedEstimator, true: float, worker: str = "w") -> float:
    """Logarithm of how wrong the worker's speed is."""
    return abs(math.log(known(estimator, worker).seconds_per_iteration / true))


# First contact


def test_nothing_is_known_of_a_worker_that_never_ran() -> None:
    estimator = SpeedEstimator()
    estimator.join("w", "")
    estimator.join("v", "gpu")
    for worker in ("w", "v", "unheard of"):
        assert estimator.estimate(worker) is None
        assert estimator.predict(worker, 10, moved=False) is None
    assert estimator.trial_factor(3) == 1.0


def test_one_slice_gives_an_estimate_that_doubts_itself() -> None:
    estimator = SpeedEstimator()
    estimator.join("w", "")
    estimator.observe("w", 0, 2, 2.5, 0.5, moved=False)
    probe = known(estimator, "w")
    assert probe.seconds_per_iteration == pytest.approx(1.0)
    assert (probe.overhead_s, probe.migration_s, probe.slices) == (0.5, 0.0, 1)
    estimator.join("v", "")
    estimator.observe("v", 1, 50, 50.5, 0.5, moved=False)
    assert probe.log_sigma > 2 * known(estimator, "v").log_sigma > 0.1


def test_a_known_worker_that_joins_again_keeps_what_was_measured() -> None:
    estimator = one_worker(0.1, seed=0, slices=10)
    before = known(estimator, "w")
    estimator.join("w", "")
    assert known(estimator, "w") == before


def test_the_estimator_survives_being_written_down() -> None:
    estimator = one_worker(0.1, seed=0, slices=10)
    again = pickle.loads(pickle.dumps(estimator))
    for each in (estimator, again):
        each.observe("w", 3, 20, 50.0, None, moved=True)
    assert known(again, "w") == known(estimator, "w")


@pytest.mark.parametrize("inflated", [3.0, 10.0, 50.0])
def test_a_probe_inflated_by_warm_up_is_overruled_by_the_next_slice(inflated: float) -> None:
    good = 0
    for seed in range(100):
        rng = random.Random(seed)
        estimator = SpeedEstimator()
        estimator.join("w", "")
        estimator.observe("w", 0, rng.randint(1, 2), 0.1 + inflated, 0.1, moved=False)
        for trial in (1, 2):
            iterations, duration_s = slice_of(rng, 1.0)
            estimator.observe("w", trial, iterations, duration_s, 3.0, moved=False)
        good += off(estimator, 1.0) < math.log(1.25)
    assert good >= 95


def test_longer_slices_make_surer() -> None:
    sigmas = []
    for iterations in (1, 5, 50, 500):
        estimator = SpeedEstimator()
        estimator.join("w", "")
        for trial in range(5):
            estimator.observe("w", trial, iterations, 1.0 * iterations, 0.0, moved=False)
        sigmas.append(known(estimator, "w").log_sigma)
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[0] > 1.3 * sigmas[2]
    assert sigmas[3] > 0.9 * sigmas[2]  # noise of the slice as a whole does not average out


# Kinds


def kind_of_eight(spread: float, seed: int) -> tuple[SpeedEstimator, dict[str, Planted]]:
    rng = random.Random(seed)
    workers = {
        f"w{i}": Planted(math.exp(rng.gauss(0.0, spread)), 2.0, 1.0, "gpu") for i in range(8)
    }
    return Cluster(workers, 0.1, seed).teach(SpeedEstimator(), 120), workers


def test_a_new_worker_of_a_known_kind_starts_from_the_others() -> None:
    estimator, workers = kind_of_eight(0.05, seed=1)
    estimator.join("new", "gpu")
    new = known(estimator, "new")
    mean = sum(math.log(true.seconds_per_iteration) for true in workers.values()) / 8
    assert math.log(new.seconds_per_iteration) == pytest.approx(mean, abs=0.05)
    assert new.overhead_s == pytest.approx(2.0, rel=0.1)
    assert new.migration_s == pytest.approx(1.0, rel=0.2)
    assert new.slices == 0
    assert estimator.predict("new", 10, moved=True) is not None


def test_a_new_worker_is_as_doubtful_as_its_kind_is_mixed() -> None:
    sigmas = []
    for spread in (0.02, 0.3, 1.0):
        found = []
        for seed in range(5):
            estimator, _ = kind_of_eight(spread, seed)
            estimator.join("new", "gpu")
            found.append(known(estimator, "new").log_sigma)
        sigmas.append(sum(found) / len(found))
    assert sigmas[0] < 0.2 < sigmas[1] < 0.5 < sigmas[2] < 1.5


def test_workers_of_no_kind_or_another_share_nothing() -> None:
    estimator, _ = kind_of_eight(0.05, seed=2)
    for worker, kind in (("a", ""), ("b", "cpu")):
        estimator.join(worker, kind)
        assert estimator.estimate(worker) is None


def test_a_worker_unlike_its_kind_is_judged_by_itself() -> None:
    estimator, _ = kind_of_eight(0.02, seed=3)
    estimator.join("odd", "gpu")
    estimator.observe("odd", 0, 50, 502.0, 2.0, moved=False)
    assert off(estimator, 10.0, "odd") < 0.05


def test_migration_is_expected_of_a_worker_that_has_not_seen_one() -> None:
    estimator, _ = kind_of_eight(0.05, seed=4)
    estimator.join("other", "")
    estimator.observe("other", 0, 20, 42.0, 2.0, moved=False)
    assert known(estimator, "other").migration_s == pytest.approx(1.0, rel=0.2)
    stays, moves = (estimator.predict("other", 20, moved=moved) for moved in (False, True))
    assert stays is not None
    assert moves is not None
    assert moves.seconds - stays.seconds == pytest.approx(1.0, rel=0.2)


# Outliers and drift


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("factor", [10.0, 4.0, 0.25, 0.1])
@pytest.mark.parametrize("before", [5, 20])
def test_one_outlier_moves_the_estimate_by_less_than_15_percent(
    before: int, factor: float, measured: bool
) -> None:
    for seed in range(30):
        estimator = one_worker(0.1, seed, before, measured)
        was = known(estimator, "w").seconds_per_iteration
        iterations, duration_s = slice_of(random.Random(seed), factor)
        estimator.observe("w", 3, iterations, duration_s, 3.0 if measured else None, moved=False)
        assert off(estimator, was) < math.log(1.15)


@pytest.mark.parametrize("factor", [2.0, 0.5, 5.0])
def test_a_change_of_speed_is_followed_within_three_slices(factor: float) -> None:
    good = 0
    for seed in range(100):
        estimator = one_worker(0.1, seed, 30)
        rng = random.Random(seed)
        for trial in range(3):
            iterations, duration_s = slice_of(rng, factor)
            estimator.observe("w", trial, iterations, duration_s, 3.0, moved=False)
        good += off(estimator, factor) < math.log(1.15)
    assert good >= 93


def test_a_change_of_speed_is_followed_within_five_slices_without_measured_overheads() -> None:
    good = 0
    for seed in range(100):
        estimator = one_worker(0.1, seed, 40, measured=False)
        rng = random.Random(seed)
        for trial in range(5):
            iterations, duration_s = slice_of(rng, 2.0)
            estimator.observe("w", trial, iterations, duration_s, None, moved=False)
        good += off(estimator, 2.0) < math.log(1.15)
    assert good >= 90


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_gradual_change_of_speed_is_followed_with_little_lag(factor: float) -> None:
    squares = []
    for seed in range(20):
        rng = random.Random(seed)
        estimator = SpeedEstimator()
        estimator.join("w", "")
        for number in range(60):
            true = factor ** (number / 60)
            iterations, duration_s = slice_of(rng, true)
            estimator.observe("w", number % 7, iterations, duration_s, 3.0, moved=False)
            if number >= 20:
                squares.append(off(estimator, true) ** 2)
    assert math.sqrt(sum(squares) / len(squares)) < 0.1


def test_the_start_of_a_process_does_not_stay_in_the_overhead() -> None:
    estimator = SpeedEstimator()
    estimator.join("w", "")
    for trial, overhead_s in enumerate((4.0, 0.05, 0.06, 0.04)):
        estimator.observe("w", trial, 20, 20.0 + overhead_s, overhead_s, moved=False)
    assert known(estimator, "w").overhead_s == pytest.approx(0.05, abs=0.02)


def test_an_overhead_that_changes_for_good_is_followed() -> None:
    estimator = one_worker(0.1, seed=0, slices=20)
    for trial in range(4):
        estimator.observe("w", trial, 20, 29.0, 9.0, moved=False)
    assert known(estimator, "w").overhead_s == pytest.approx(9.0, rel=0.1)


# Bad input


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_duration_is_refused(duration_s: float) -> None:
    estimator = one_worker(0.1, seed=0, slices=3)
    before = known(estimator, "w")
    with pytest.raises(ValueError, match=rf"^duration_s={duration_s!r} of w: must be positive and"):
        estimator.observe("w", 0, 10, duration_s, None, moved=False)
    assert known(estimator, "w") == before


@pytest.mark.parametrize("overhead_s", [-0.1, 10.0, 11.0, math.nan, math.inf])
def test_an_impossible_overhead_is_refused(overhead_s: float) -> None:
    estimator = one_worker(0.1, seed=0, slices=3)
    with pytest.raises(ValueError, match=rf"^overhead_s={overhead_s!r} of w: must be at least 0"):
        estimator.observe("w", 0, 10, 10.0, overhead_s, moved=False)


def test_a_slice_of_no_iterations_is_refused() -> None:
    estimator = one_worker(0.1, seed=0, slices=3)
    with pytest.raises(ValueError, match=r"^iterations=0 of w: must be at least 1$"):
        estimator.observe("w", 0, 0, 10.0, None, moved=False)
    with pytest.raises(ValueError, match=r"^iterations=0 of w: must be at least 1$"):
        estimator.predict("w", 0, moved=False)


def test_a_worker_that_never_joined_cannot_have_run() -> None:
    with pytest.raises(KeyError, match="unheard of"):
        SpeedEstimator().observe("unheard of", 0, 10, 10.0, None, moved=False)
