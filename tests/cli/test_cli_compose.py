"""Every file of conf composes, checks and builds."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from hrfs.cli import schema
from hrfs.cli.build import build_cluster, build_plan, build_runner, build_scheduler, to_plain
from hrfs.cli.help import group_options
from hrfs.cli.paths import config_dir, config_groups
from hrfs.cli.validate import POLICIES, validate
from hrfs.training.settings import RunnerSettings

OPTIONS = [
    (group, option)
    for group, options in group_options([config_dir()]).items()
    for option in options
]
SCHEDULE = Path(__file__).parents[1] / "stored" / "winner_schedule.json"
NEEDS = {
    ("scheduler", "replay"): [f"schedule={SCHEDULE}"],
    ("cluster", "address"): ["cluster.address=10.0.0.1:6379"],
    # These name hosts for the user to fill in: tests/cli/test_cli_paper.py.
    ("cluster", "paper"): ["cluster.address=10.0.0.1:6379", "cluster.allocation=auto"],
    ("experiment", "paper_resnet18"): ["cluster=local"],
    ("experiment", "paper_resnet50"): ["cluster=local"],
}


def composed(*overrides: str) -> DictConfig:
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("config", list(overrides))


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_of_every_group(group: str, option: str) -> None:
    config = to_plain(composed(f"{group}={option}", *NEEDS.get((group, option), [])))
    validate(config)
    assert build_plan(config, {}).trials >= 1
    build_cluster(config)
    build_scheduler(config)
    build_runner(config)


def test_the_groups_are_those_that_the_docs_promise() -> None:
    expected = {
        "model": {"resnet18", "resnet50"},
        "dataset": {"cifar10", "cifar100", "fashion_mnist", "digits", "synthetic"},
        "scheduler": set(POLICIES),
        "cluster": {"local", "emulated", "address"},
        "population": {"paper", "demo"},
        "experiment": {"paper_resnet18", "paper_resnet50", "demo", "smoke"},
    }
    found = group_options([config_dir()])
    for group, options in expected.items():
        assert options <= set(found[group])
    assert set(config_groups()) == set(found)


def test_an_experiments_values_are_not_lost() -> None:
    assert composed("experiment=smoke").population.size == 4
    assert composed("experiment=demo").report.every_s == 10
    assert composed().report.every_s == 300


@pytest.mark.parametrize("name", ["fashion_mnist_fast", "cifar10_fast"])
def test_a_fast_recipe_varies_a_peak_and_shapes_it_over_the_whole_life(name: str) -> None:
    config = to_plain(composed(f"experiment={name}"))
    stop = config["population"]["stop_iterations"]
    shape = RunnerSettings.from_plain(build_runner(config).settings).lr_shape
    assert shape is not None
    assert (shape.name, shape.iterations) == ("one_cycle", stop)
    assert stop % config["population"]["interval_iterations"] == 0
    assert set(config["population"]["search_space"]) == {"lr", "weight_decay"}
    assert set(config["population"]["mutations"]) == {"lr", "weight_decay"}


def test_what_is_typed_wins_over_an_experiment() -> None:
    cfg = composed("experiment=demo", "dataset=fashion_mnist", "population.size=3")
    assert cfg.dataset.name == "fashion_mnist"
    assert cfg.population.size == 3
    assert cfg.population.interval_iterations == 20
    assert cfg.cluster.mode == "emulated"


def test_paper_experiments_differ_from_the_defaults_in_model_data_and_cluster_alone() -> None:
    plain, small = composed(), composed("experiment=paper_resnet18", "cluster=local")
    assert plain == small
    large = composed("experiment=paper_resnet50", "cluster=local")
    assert (large.model, large.dataset) != (plain.model, plain.dataset)
    typed = composed("scheduler=hrfs", "model=resnet50", "dataset=cifar100")
    assert typed == large


def test_an_override_of_a_range_replaces_it() -> None:
    cfg = composed("population.search_space.lr=[loguniform,0.01,0.1]")
    assert list(cfg.population.search_space.lr) == ["loguniform", 0.01, 0.1]
    cfg = composed("~population.mutations.momentum")
    assert list(cfg.population.mutations) == ["lr"]
    cfg = composed("+population.search_space.weight_decay=[loguniform,1e-5,1e-2]")
    assert "weight_decay" in cfg.population.search_space


@pytest.mark.parametrize(
    "file", sorted(config_dir().glob("experiment/*.yaml")), ids=lambda p: p.stem
)
def test_an_experiment_is_a_delta(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# @package _global_\n")
    overrides = [next(iter(item)) for item in yaml.safe_load(text)["defaults"]]
    assert all(item.startswith("override /") for item in overrides)
