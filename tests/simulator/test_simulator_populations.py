"""Several populations in one simulated run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from hrfs import simulate
from hrfs.core.invariants import check
from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.populations import Populations
from hrfs.reporting import read_slices
from hrfs.simulator.bound import clairvoyant_bound_s, cost_factors
from hrfs.simulator.driver import play
from hrfs.simulator.learning import Learners
from hrfs.simulator.result import Simulation
from hrfs.simulator.spec import LearningCurve, LearningRate, SimulatedWorker, Workload

RATE = LearningRate(1e-4, 1.0, best=0.01, half_width_decades=1.0)
CURVE = LearningCurve((100.0, 200.0), ceilings=(1.0, 0.6, 0.8), learning_rate=RATE)
WORKERS = (SimulatedWorker("a", 0.1), SimulatedWorker("b", 0.2), SimulatedWorker("c", 0.7))
SHARED = Workload(6, 200, 20, WORKERS, curve=CURVE, seeds=(4, 0, 9))


def first_values(run: Simulation) -> dict[int, Any]:
    """The hyperparameters with which each trial began."""
    return {r.trial: dict(r.hyperparameters) for r in run.records if r.from_iteration == 0}


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_finishes_all_populations(policy: str) -> None:
    run = play(SHARED, make_policy(policy), check)
    done = [sum(r.iterations for r in run.records if r.trial == trial) for trial in range(18)]
    assert done == [200] * 18
    populations = SHARED.populations
    assert run.exploits
    assert {populations.of(e.trial) for e in run.exploits} == {0, 1, 2}
    assert all(populations.of(e.trial) == populations.of(e.donor) for e in run.exploits)


def test_a_population_begins_as_if_alone() -> None:
    together = first_values(play(SHARED, make_policy("hrfs")))
    for number, seed in enumerate((4, 0, 9)):
        single = dataclasses.replace(SHARED, seed=seed, seeds=None)
        alone = first_values(play(single, make_policy("hrfs")))
        assert {trial + 6 * number: values for trial, values in alone.items()}.items() <= (
            together.items()
        )
    assert together[0] != together[6] != together[12]


def test_one_seed_in_a_list_is_the_population_of_that_seed() -> None:
    single = dataclasses.replace(SHARED, seed=4, seeds=None)
    listed = dataclasses.replace(single, seeds=(4,))
    assert play(single, make_policy("hrfs")) == play(listed, make_policy("hrfs"))


def test_on_one_worker_a_population_exploits_as_if_alone() -> None:
    """One worker keeps each population in step, so its standings are those of a run alone."""
    shared = dataclasses.replace(SHARED, workers=WORKERS[:1])

    def told(run: Simulation, number: int) -> list[Any]:
        first = 6 * number
        mine = [e for e in run.exploits if first <= e.trial < first + 6]
        return [(e.trial - first, e.donor - first, e.iteration, e.after) for e in mine]

    together = play(shared, make_policy("greedy"))
    for number, seed in enumerate((4, 0, 9)):
        single = dataclasses.replace(shared, seed=seed, seeds=None)
        alone = told(play(single, make_policy("greedy")), 0)
        assert alone
        assert told(together, number) == alone


def test_each_population_stops_at_its_own_target() -> None:
    curve = LearningCurve((50.0,), noise=0.05)
    stops = Workload(
        3, 400, 20, WORKERS, curve=curve, target_score=0.8, stop_on_target=True, seeds=(1, 2, 3)
    )
    run = play(stops, make_policy("hrfs"), check)
    for members in map(stops.populations.members, range(3)):
        mine = [r for r in run.records if r.trial in members]
        reached_s = min(r.end_s for r in mine if (r.score or 0) >= 0.8)
        assert all(r.start_s <= reached_s for r in mine)
        assert sum(r.iterations for r in mine) < 3 * 400
    reached = [
        min(r.end_s for r in run.records if r.trial // 3 == n and (r.score or 0) >= 0.8)
        for n in range(3)
    ]
    assert len(set(reached)) == 3
    assert any(r.start_s > min(reached) for r in run.records), "the others go on"


def test_weights_are_not_taken_over_from_another_population() -> None:
    learners = Learners(CURVE, Populations((0, 1), 2))
    with pytest.raises(
        ValueError, match=r"^trial 1 is to take over trial 2 of another population$"
    ):
        learners.take_over(1, 2)


def test_the_bound_and_the_factors_are_of_all_trials() -> None:
    plain = Workload(2, 60, 10, WORKERS, seeds=(0, 1, 2))
    assert clairvoyant_bound_s(plain) == pytest.approx(6 * 60 / (10 + 5 + 1 / 0.7))
    repeated = dataclasses.replace(plain, work_factor=(1.0, 2.0))
    spelt_out = dataclasses.replace(plain, work_factor=(1.0, 2.0) * 3)
    found = cost_factors(repeated)
    assert found is not None
    assert found.tolist() == [[1.0, 2.0] * 3] * 3
    assert clairvoyant_bound_s(repeated) == clairvoyant_bound_s(spelt_out)
    policy = make_policy
    assert play(repeated, policy("hrfs")).records == play(spelt_out, policy("hrfs")).records


def test_work_factors_of_each_population_and_kind_are_multiplied() -> None:
    workers = (SimulatedWorker("a", 1.0, kind="gpu"),)
    both = Workload(
        1, 10, 10, workers, seeds=(0, 1), work_factor=(3.0, 5.0), kind_factors={"gpu": (2.0,)}
    )
    records = play(both, make_policy("greedy")).records
    assert {r.trial: r.train_s for r in records} == {0: 60.0, 1: 100.0}


def spec(tmp_path: Path, **changes: Any) -> Path:
    plain = {
        "trials": 4, "stop_iteration": 60, "interval": 10, "target_score": 0.5,
        "workers": [{"name": w.name, "seconds_per_iteration": w.seconds_per_iteration}
                    for w in WORKERS],
        "curve": {"half_lives_iterations": [20], "noise": 0.01},
    }  # fmt: skip
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(plain | changes))
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    simulate.main([*arguments, "format=json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("typed", ["2,0", "[2,0]", "[2, 0]"])
def test_seeds_of_the_spec_and_of_the_command_line(
    typed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(capsys, f"workload={spec(tmp_path, seeds=[2, 0])}")
    told = printed(capsys, f"workload={spec(tmp_path)}", f"seeds={typed}")
    assert said == told
    assert (told["seeds"], told["trials"], told["iterations"]) == ([2, 0], 8, 8 * 60)


def test_what_is_said_of_each_population(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "slices.csv"
    found = printed(capsys, f"workload={spec(tmp_path)}", "seeds=2,0", f"out={out}")
    records = read_slices(out)
    assert [told["seed"] for told in found["populations"]] == [2, 0]
    assert [told["trials"] for told in found["populations"]] == [[0, 3], [4, 7]]
    reached_s = []
    for told in found["populations"]:
        mine = [r for r in records if told["trials"][0] <= r.trial <= told["trials"][1]]
        begin_s = min(r.start_s for r in mine)
        assert told["iterations"] == 4 * 60
        assert told["makespan_s"] == pytest.approx(max(r.end_s for r in mine) - begin_s)
        assert told["worker_s"] == pytest.approx(sum(r.duration_s for r in mine))
        assert told["best_score"] == max(r.score for r in mine if r.score is not None)
        reached_s.append(min(r.end_s for r in mine if r.score is not None and r.score >= 0.5))
        assert told["time_to_target_s"] == pytest.approx(reached_s[-1] - begin_s)
    assert sum(told["exploits"] for told in found["populations"]) == found["exploits"]
    assert found["time_to_target_s"] == pytest.approx(min(reached_s))


def test_several_populations_have_a_table_and_one_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec(tmp_path)
    simulate.main([f"workload={path}", "seeds=2,0"])
    shown = capsys.readouterr().out
    assert "spec.json, 2 x 4 trials on 3 workers, hrfs" in shown
    assert [line.split()[:5] for line in shown.splitlines()[-2:]] == [
        ["seed", "2", "0", "to", "3"],
        ["seed", "0", "4", "to", "7"],
    ]
    simulate.main([f"workload={path}"])
    assert "population" not in capsys.readouterr().out
    assert "populations" not in printed(capsys, f"workload={path}")
