"""A trial is the same to the last bit, whether its population trains alone or beside others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from training_helpers import WORKER, own_model, request, same, settings, small_model, synthetic

from hrfs.core.populations import Populations
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.slices import SliceResult
from hrfs.training.final import evaluate_winner
from hrfs.training.runner import LightningSliceRunner, build
from hrfs.training.settings import RunnerSettings
from hrfs.training.state import load_state

pytestmark = pytest.mark.torch

SEEDS, SIZE = [0, 1, 2], 6
MEMBER, AMONG_ALL = 5, 11
"""Trial 5 of seed 1, by its numbers alone and beside the populations of the other seeds."""


def together(plain: dict[str, Any]) -> dict[str, Any]:
    """These settings for three populations of six."""
    return {k: v for k, v in plain.items() if k != "seed"} | {
        "seeds": SEEDS,
        "population_size": SIZE,
    }


def trained(
    runner: LightningSliceRunner, trial: int, file: Path, **values: Any
) -> list[SliceResult]:
    """Five steps of ``trial`` in two slices, and its state in ``file``."""
    runner.begin(trial)
    results = [runner.run(request(at, n, trial=trial, **values)) for at, n in ((0, 3), (3, 2))]
    runner.save(file)
    return results


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (small_model(), {"lr": 0.05, "momentum": 0.9}),
        (own_model("OwnModule"), {"lr": 0.01, "dropout": 0.5}),
    ],
    ids=["augmented images", "dropout"],
)
def test_a_member_is_bitwise_the_same_alone_and_among_other_populations(
    tmp_path: Path, model: dict[str, Any], values: dict[str, Any]
) -> None:
    plain = settings(model, synthetic(augment=True), seed=1, validation_samples=7)
    alone, shared = build(plain), build(together(plain))
    trained(shared, 3, tmp_path / "other", **values)  # whom it shares a process with is nothing
    results = [
        trained(alone, MEMBER, tmp_path / "alone", **values),
        trained(shared, AMONG_ALL, tmp_path / "shared", **values),
    ]
    assert results[0][1].metrics == results[1][1].metrics
    assert (tmp_path / "alone").read_bytes() == (tmp_path / "shared").read_bytes()
    assert (tmp_path / "alone").read_bytes() != (tmp_path / "other").read_bytes()
    state = load_state(tmp_path / "shared")
    assert (state.seed, state.trial, state.identity) == (1, MEMBER, (1, MEMBER))


def test_a_member_goes_on_from_a_state_of_either_run(tmp_path: Path) -> None:
    plain = settings(dataset=synthetic(augment=True), seed=1)
    alone, shared = build(plain), build(together(plain))
    trained(alone, MEMBER, tmp_path / "alone")
    shared.load(tmp_path / "alone")
    shared.run(request(5, 3, trial=AMONG_ALL))
    alone.run(request(5, 3, trial=MEMBER))
    for runner, name in ((alone, "one"), (shared, "other")):
        runner.save(tmp_path / name)
    one, other = load_state(tmp_path / "one"), load_state(tmp_path / "other")
    assert one.iteration == 8
    assert same(dataclasses.asdict(one), dataclasses.asdict(other))


def test_members_of_one_number_differ_between_populations(tmp_path: Path) -> None:
    runner = build(together(settings()))
    states, first = [], set()
    for population in range(3):
        runner.begin(population * SIZE + MEMBER)
        runner.save(tmp_path / "fresh")
        first.add(str(load_state(tmp_path / "fresh").state_dict["network.stem.0.weight"]))
        trained(runner, population * SIZE + MEMBER, tmp_path / "state")
        states.append(load_state(tmp_path / "state"))
    assert [state.seed for state in states] == SEEDS
    assert {state.trial for state in states} == {MEMBER}
    assert len(first) == 3
    assert not same(states[0].state_dict, states[1].state_dict)
    assert not same(states[1].state_dict, states[2].state_dict)


def test_an_exploit_stays_within_its_population(tmp_path: Path) -> None:
    runner = build(together(settings()))
    trained(runner, AMONG_ALL, tmp_path / "donor")
    runner.load(tmp_path / "donor")
    runner.run(request(5, 1, trial=AMONG_ALL - 1))  # of seed 1 as well
    runner.load(tmp_path / "donor")
    message = "a state of the population of seed 1 cannot go on in that of seed 2"
    with pytest.raises(RuntimeError, match=message):
        runner.run(request(5, 1, trial=12))


def test_a_trial_beyond_the_last_population_is_refused() -> None:
    runner = build(together(settings()))
    with pytest.raises(ValueError, match="trial 18: there are 3 times 6"):
        runner.begin(3 * SIZE)


def test_each_population_is_compared_on_its_own_subset(tmp_path: Path) -> None:
    runner = build(together(settings(validation_samples=7)))
    runner.begin(0)
    runner.run(request(0, 1, trial=0))
    batches = runner._batches()
    chosen = {seed: batches.validation_subset(seed) for seed in SEEDS}
    assert chosen[0] != chosen[1] != chosen[2]
    for trial, seed in ((0, 0), (SIZE - 1, 0), (SIZE, 1), (AMONG_ALL, 1), (12, 2)):
        draws = list(batches.for_validation(trial).draws)
        assert [index for draw in draws for index in draw.indices] == chosen[seed]


def test_the_winner_of_a_population_is_tested_as_if_it_had_been_alone(tmp_path: Path) -> None:
    plain = settings(seed=1)
    trained(build(plain), MEMBER, tmp_path / "alone")
    trained(build(together(plain)), AMONG_ALL, tmp_path / "shared")
    alone = evaluate_winner(plain, tmp_path / "alone", WORKER, tmp_path / "alone.ckpt")
    both = together(plain)
    shared = evaluate_winner(both, tmp_path / "shared", WORKER, tmp_path / "shared.ckpt")
    assert set(alone) == {"test/acc", "test/loss"}
    assert alone == shared


def test_settings_of_several_populations() -> None:
    several = together(settings())
    assert RunnerSettings.from_plain(several).populations == Populations((0, 1, 2), SIZE)
    for change, message in (
        ({"seeds": [0, -1]}, r"seeds=-1: must be a whole number >= 0"),
        ({"seeds": [0, 0]}, r"seeds=\[0, 0\]: seeds=\(0, 0\): must be unlike"),
        ({"seeds": []}, r"seeds=\[\]: "),
        ({"population_size": None}, r"population_size=None: must be a whole number >= 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            RunnerSettings.from_plain({**several, **change})
