"""Several populations fed from one pool of workers by one scheduler, on real Ray nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import make_plan, named

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import Outcome, RunnerSpec, SchedulerChoice

pytestmark = pytest.mark.ray

RUNNER = RunnerSpec("toys:build_adder", {"seconds": 0.002}, final="toys:final_adder")
SEEDS, SIZE = (7, 0), 6


def run(tmp_path: Path, plan: Any, runner: RunnerSpec = RUNNER) -> tuple[Outcome, Any, list[Any]]:
    """One experiment with all its observers; outcome, summary and what does not fit in it."""
    from hrfs.reporting import History, check_consistency, make_observers, read_slices, write_final
    from hrfs.tuning.run import run_experiment

    history = History()
    outcome = run_experiment(
        plan,
        SchedulerChoice("hrfs"),
        named("fast", "middle", "slow"),
        runner,
        tmp_path,
        make_observers(tmp_path, history, "quiet", 60.0),
    )
    summary = write_final(tmp_path, history, outcome.test_metrics, outcome)
    return outcome, summary, check_consistency(read_slices(tmp_path / "slices.csv"), summary)


def test_populations_share_the_workers_and_nothing_else(ray_cluster: Any, tmp_path: Path) -> None:
    from hrfs.reporting import read_slices

    plan = make_plan(trials=2 * SIZE, seeds=SEEDS, stop_iterations=80)
    outcome, summary, wrong = run(tmp_path, plan)
    slices = read_slices(tmp_path / "slices.csv")
    assert wrong == []  # also that no slice began with another population's weights
    assert (outcome.status, outcome.reason) == ("finished", "")
    assert summary["trials"]["finished"] == 2 * SIZE
    assert summary["iterations"] == 2 * SIZE * 80
    assert all(population["exploits"] > 0 for population in summary["populations"])
    for number, (seed, won) in enumerate(zip(SEEDS, outcome.populations, strict=True)):
        told = summary["populations"][number]
        assert (won.seed, won.reason) == (seed, "")
        assert won.best_trial in plan.populations.members(number)
        assert won.best_trial == told["winner"]["trial"]
        assert won.test_metrics == {"test/score": won.best_score} == told["test"]
        exported = (tmp_path / f"winner_seed{seed}.ckpt").read_text()
        assert float(exported) == won.best_score
    best = max(outcome.populations, key=lambda population: population.best_score or 0.0)
    assert (outcome.best_trial, outcome.best_score) == (best.best_trial, best.best_score)
    assert outcome.test_metrics == best.test_metrics
    exported = (tmp_path / f"winner_seed{best.seed}.ckpt").read_text()
    assert (tmp_path / "winner.ckpt").read_text() == exported
    assert not list(tmp_path.glob(".*.part"))
    for number, seed in enumerate(SEEDS):
        alone = make_plan(trials=SIZE, seeds=(seed,))
        for member, trial in enumerate(plan.populations.members(number)):
            values = [
                r.hyperparameters for r in slices if (r.trial, r.from_iteration) == (trial, 0)
            ]
            assert values == [alone.initial_hyperparameters(member)]


def test_a_list_of_one_seed_is_that_seed(ray_cluster: Any, tmp_path: Path) -> None:
    outcome, summary, wrong = run(tmp_path, make_plan(trials=2, seeds=(7,), stop_iterations=20))
    assert wrong == []
    assert "populations" not in summary
    assert [population.seed for population in outcome.populations] == [7]
    assert [file.name for file in tmp_path.glob("winner*")] == ["winner.ckpt"]


def test_a_winner_that_cannot_be_tested_costs_the_others_nothing(
    ray_cluster: Any, tmp_path: Path
) -> None:
    plan = make_plan(trials=4, seeds=SEEDS, stop_iterations=20)
    broken = RunnerSpec(RUNNER.factory, {**RUNNER.settings, "untestable": 0}, "toys:final_or_fault")
    outcome, summary, wrong = run(tmp_path, plan, broken)
    assert wrong == []
    first, second = outcome.populations
    assert first.test_metrics == {"test/score": first.best_score}
    assert second.test_metrics == {}
    assert "planted fault of seed0" in second.reason
    assert outcome.status == "finished"
    assert outcome.reason == f"seed 0: {second.reason}"
    assert summary["populations"][1]["test_reason"] == second.reason


def test_rays_own_scheduler_is_refused_before_ray_is_asked(tmp_path: Path) -> None:
    from hrfs.tuning.run import run_experiment

    plan = make_plan(trials=4, seeds=(0, 1))
    message = r"seeds=\[0, 1\]: scheduler=ray_pbt would exploit across the populations; give each"
    with pytest.raises(ConfigError, match=message):
        run_experiment(plan, SchedulerChoice("ray_pbt"), named("fast"), RUNNER, tmp_path)


def test_an_interrupted_run_tests_nobody(tmp_path: Path) -> None:
    from hrfs.tuning.ending import conclude
    from hrfs.tuning.winner import Contender

    contenders = [Contender(0, 0.5, "a"), Contender(1, 0.6, "b"), Contender(2, None, None)]
    plan = make_plan(trials=4, seeds=SEEDS)
    outcome = conclude(plan, "interrupted", "stopped", contenders, RUNNER, [], tmp_path)
    assert (outcome.best_trial, outcome.reason) == (1, "stopped")
    assert [population.best_trial for population in outcome.populations] == [1, None]
    assert list(tmp_path.iterdir()) == []


def test_each_population_says_why_its_winner_was_not_tested(tmp_path: Path) -> None:
    from hrfs.tuning.ending import conclude
    from hrfs.tuning.winner import Contender

    contenders = [Contender(0, 0.5, "a"), Contender(2, None, None)]
    plan = make_plan(trials=4, seeds=SEEDS)
    outcome = conclude(plan, "gave up", "no worker", contenders, RUNNER, [], tmp_path)
    assert outcome.reason == (
        "no worker; seed 7: no worker is left to test the winner; seed 0: no trial has a finite "
        "score"
    )
    alone = make_plan(trials=4)
    outcome = conclude(alone, "finished", "", [], RUNNER, [], tmp_path)
    assert (outcome.best_trial, outcome.reason) == (None, "no trial has a finite score")
