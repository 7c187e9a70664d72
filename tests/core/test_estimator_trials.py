"""Trials whose iterations cost more, and how often predicted intervals hold."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from estimator_play import Cluster, Planted, known, watch

from hrfs.core.estimator import SpeedEstimator


def cluster(
    seed: int, noise: float, work: Callable[[int], float] = lambda trial: 1.0, trials: int = 12
) -> Cluster:
    """Six workers, speeds over a factor of 30, with overheads and migration."""
    rng = random.Random(seed)
    workers = {}
    for number in range(6):
        seconds = math.exp(rng.uniform(-4.0, 0.0))
        workers[f"w{number}"] = Planted(seconds, 2.0 * seconds, 0.05)
    return Cluster(workers, noise, seed, (10, 50), work, trials)


def dearer(trial: int) -> float:
    """Work factors from 0.5 to 4."""
    return 0.5 * 8.0 ** ((trial * 5 % 12) / 11)


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_dearer_trials_are_recovered(noise: float) -> None:
    mean = sum(math.log(dearer(trial)) for trial in range(12)) / 12
    squares, worst = [], 0.0
    for seed in range(10):
        estimator = cluster(seed, noise, dearer).teach(SpeedEstimator(), 360)
        for trial in range(12):
            wrong = math.log(estimator.trial_factor(trial) / dearer(trial)) + mean
            squares.append(wrong * wrong)
            worst = max(worst, abs(wrong))
    assert math.sqrt(sum(squares) / len(squares)) < 0.08
    assert worst < 0.25


def test_dearer_trials_are_recovered_on_one_worker_too() -> None:
    mean = sum(math.log(dearer(trial)) for trial in range(12)) / 12
    for seed in range(5):
        played = Cluster({"w": Planted(1.0, 2.0)}, 0.1, seed, (10, 50), dearer, 12)
        estimator = played.teach(SpeedEstimator(), 240)
        for trial in range(12):
            found = estimator.trial_factor(trial)
            assert abs(math.log(found / dearer(trial)) + mean) < 0.3


def test_with_dearer_trials_a_speed_is_that_of_the_average_trial() -> None:
    mean = math.exp(sum(math.log(dearer(trial)) for trial in range(12)) / 12)
    for seed in range(5):
        played = cluster(seed, 0.1, dearer)
        estimator = played.teach(SpeedEstimator(), 360)
        for name, true in played.workers.items():
            found = known(estimator, name).seconds_per_iteration
            assert math.log(found / (mean * true.seconds_per_iteration)) == pytest.approx(
                0.0, abs=0.15
            )


@pytest.mark.parametrize(("noise", "limit"), [(0.05, 0.03), (0.1, 0.06), (0.3, 0.2)])
def test_trials_that_are_alike_stay_alike(noise: float, limit: float) -> None:
    for seed in range(20):
        estimator = cluster(seed, noise).teach(SpeedEstimator(), 240)
        for trial in range(12):
            assert abs(math.log(estimator.trial_factor(trial))) < limit


def test_an_unknown_trial_is_expected_to_be_average_and_doubted() -> None:
    played = cluster(0, 0.1, dearer)
    estimator = played.teach(SpeedEstimator(), 360)
    assert estimator.trial_factor(99) == 1.0
    known_trial = estimator.predict("w0", 30, moved=False, trial=5)
    unknown = estimator.predict("w0", 30, moved=False, trial=99)
    assert known_trial is not None
    assert unknown is not None
    assert unknown.high_s / unknown.low_s > 1.5 * known_trial.high_s / known_trial.low_s


def test_a_new_trial_that_is_dearer_does_not_slow_the_others_down() -> None:
    played = cluster(1, 0.1, dearer)
    estimator = played.teach(SpeedEstimator(), 360)
    before = estimator.predict("w0", 30, moved=False, trial=5)
    true = played.workers["w0"].seconds_per_iteration
    estimator.observe("w0", 99, 30, 30 * 4.0 * true + 2.0 * true, 2.0 * true, moved=False)
    after = estimator.predict("w0", 30, moved=False, trial=5)
    assert before is not None
    assert after is not None
    assert after.seconds == pytest.approx(before.seconds, rel=0.02)
    assert estimator.trial_factor(99) > 1.5


def covered(played: Cluster, slices: int, skip: int, measured: bool) -> list[bool]:
    """Whether each slice after the first ``skip`` fell within its predicted interval."""
    estimator = SpeedEstimator()
    for name, true in played.workers.items():
        estimator.join(name, true.kind)
    inside = []
    for number, slice_ in enumerate(played.play(slices)):
        predicted = estimator.predict(slice_.worker, slice_.iterations, slice_.moved, slice_.trial)
        if number >= skip:
            assert predicted is not None
            inside.append(predicted.low_s <= slice_.duration_s <= predicted.high_s)
        watch(estimator, slice_, measured)
    return inside


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("noise", [0.05, 0.1, 0.3])
def test_eighty_percent_intervals_hold_about_eighty_percent(noise: float, measured: bool) -> None:
    inside = []
    for seed in range(30):
        inside += covered(cluster(seed, noise), 150, 50, measured)
    assert 0.75 <= sum(inside) / len(inside) <= 0.86


def test_intervals_hold_with_dearer_trials_once_these_are_known() -> None:
    inside = []
    for seed in range(15):
        inside += covered(cluster(seed, 0.1, dearer), 400, 250, measured=True)
    assert 0.7 <= sum(inside) / len(inside) <= 0.9


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_the_noise_is_learned(noise: float) -> None:
    learned = []
    for seed in range(10):
        estimator = cluster(seed, noise).teach(SpeedEstimator(), 400)
        learned.append(estimator.noise_sigma)
    assert sum(learned) / len(learned) == pytest.approx(noise, rel=0.25)
