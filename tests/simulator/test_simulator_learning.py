"""Scores in virtual time: the curve, exploit, the target."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from hrfs.core.invariants import check
from hrfs.core.policies import make_policy
from hrfs.simulator.driver import play
from hrfs.simulator.learning import CEILING, HALF_LIFE, LEARNING_RATE, Learning
from hrfs.simulator.spec import LearningCurve, LearningRate, SimulatedWorker, Workload

CURVE = LearningCurve((10.0, 20.0), start=0.2, ceilings=(1.0, 0.6))
RATE = LearningRate(1e-4, 1.0, best=0.01, half_width_decades=1.0)
CPUS = tuple(SimulatedWorker(f"w{i}", 1.0 + i) for i in range(4))


def test_the_distance_to_the_ceiling_halves() -> None:
    learning = Learning(CURVE, 2, seed=0)
    first = [learning.first_hyperparameters(trial) for trial in range(2)]
    assert first == [{CEILING: 1.0, HALF_LIFE: 10.0}, {CEILING: 0.6, HALF_LIFE: 20.0}]
    assert learning.train(0, 10, first[0], 0) == pytest.approx(0.6)
    assert learning.train(0, 10, first[0], 1) == pytest.approx(0.8)
    assert learning.train(1, 20, first[1], 2) == pytest.approx(0.4)
    learning.take_over(1, 0)
    assert learning.train(1, 10, first[0], 3) == pytest.approx(0.9)
    assert learning.train(0, 10, first[0], 4) == pytest.approx(0.9)


@pytest.mark.parametrize(("rate", "score"), [(0.01, 0.6), (0.1, 1 - 0.8 * 2**-0.5)])
def test_a_rate_a_half_width_away_learns_half_as_fast(rate: float, score: float) -> None:
    learning = Learning(replace(CURVE, learning_rate=RATE), 1, seed=0)
    hyperparameters = {CEILING: 1.0, HALF_LIFE: 10.0, LEARNING_RATE: rate}
    assert learning.train(0, 10, hyperparameters, 0) == pytest.approx(score)


def test_first_rates_are_log_uniform_and_depend_on_the_seed() -> None:
    curve = replace(CURVE, learning_rate=RATE)
    learning = Learning(curve, 2000, seed=0)
    rates = [learning.first_hyperparameters(trial)[LEARNING_RATE] for trial in range(2000)]
    assert min(rates) >= 1e-4
    assert max(rates) <= 1.0
    assert statistics.median(rates) == pytest.approx(0.01, rel=0.2)
    assert Learning(curve, 1, seed=1).first_hyperparameters(0)[LEARNING_RATE] != rates[0]


def test_noise_is_on_the_measured_score_alone() -> None:
    noisy = Learning(replace(CURVE, noise=0.05), 1, seed=0)
    hyperparameters = {CEILING: 1.0, HALF_LIFE: 10.0}
    errors = [
        noisy.train(0, 10, hyperparameters, n) - (1 - 0.8 * 0.5 ** (n + 1)) for n in range(900)
    ]
    assert statistics.fmean(errors) == pytest.approx(0.0, abs=0.006)
    assert statistics.stdev(errors) == pytest.approx(0.05, rel=0.1)


def test_population_based_training_gains_from_exploit() -> None:
    """Weights, rate and ceiling of an exploited trial are those of its donor from then on."""
    curve = LearningCurve((200.0,), learning_rate=RATE, ceilings=(0.5, 0.6, 0.7, 0.8))
    workload = Workload(8, 200, 20, CPUS, curve=curve, seed=4)
    run = play(workload, make_policy("hrfs_paper"), check)
    assert run.exploits
    for exploit in run.exploits:
        after = [r for r in run.records if r.trial == exploit.trial and r.parent == exploit.donor]
        assert any(
            r.from_iteration == exploit.iteration and dict(r.hyperparameters) == dict(exploit.after)
            for r in after
        )
    last = {r.trial: r for r in run.records}
    first_ceilings = statistics.fmean(curve.ceilings)
    assert statistics.fmean(r.hyperparameters[CEILING] for r in last.values()) > first_ceilings


def test_the_target_ends_the_run_early() -> None:
    curve = LearningCurve((50.0,))
    whole = Workload(4, 200, 10, CPUS, curve=curve, target_score=0.75, stop_on_target=False)
    early = replace(whole, stop_on_target=True)
    policy = "hrfs_paper"
    complete, stopped = play(whole, make_policy(policy), check), play(early, make_policy(policy))
    assert sum(r.iterations for r in complete.records) == 4 * 200
    assert sum(r.iterations for r in stopped.records) < 4 * 200
    assert max(r.score or 0.0 for r in stopped.records) >= 0.75
    assert stopped.end_s < complete.end_s


def test_an_exploited_trial_fetches_its_weights_from_the_donors_worker() -> None:
    curve = LearningCurve((100.0,), ceilings=(1.0, 0.1))
    workload = Workload(2, 40, 10, CPUS[:2], migration_s=5.0, curve=curve)
    run = play(workload, make_policy("static"), check)
    exploit = run.exploits[0]
    (taken,) = [
        r for r in run.records if r.trial == exploit.trial and r.from_iteration == exploit.iteration
    ]
    own = {r.trial: r.worker for r in run.records}
    assert own[exploit.trial] != own[exploit.donor]
    assert taken.load_s == 5.0  # though its own last slice ran on the same worker
    before = [r for r in run.records if r.trial == exploit.trial and r.end_s <= taken.start_s]
    assert {r.worker for r in before} == {taken.worker}
    assert all(r.load_s == 0.0 for r in before)
