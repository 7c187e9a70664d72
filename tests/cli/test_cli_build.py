"""From plain configuration to the types below the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue

from hrfs.cli import schema
from hrfs.cli.build import build_cluster, build_plan, build_runner, build_scheduler, to_plain
from hrfs.cli.paths import config_dir
from hrfs.core.pbt import PbtSettings
from hrfs.core.search_space import Choice, Hyperparameter, Uniform
from hrfs.experiment.cluster import ClusterSettings, EmulatedWorker, NodeAllocation
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import SchedulerChoice
from hrfs.experiment.schedule import read_schedule
from hrfs.training.lr_shapes import LrShape
from hrfs.training.settings import RunnerSettings

SCHEDULE = Path(__file__).parents[1] / "stored" / "winner_schedule.json"


def composed(*overrides: str) -> dict[str, Any]:
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return to_plain(compose("config", list(overrides)))


def test_plain_defaults_are_the_papers() -> None:
    plan = build_plan(composed(), {"model": "resnet18", "dataset": "cifar10", "experiment": None})
    assert (plan.trials, plan.stop_iterations, plan.interval_iterations) == (20, 1000, 50)
    assert plan.target_score == 0.8
    assert not plan.stop_on_target
    assert plan.pbt == PbtSettings(quantile=0.25, resample_probability=0.25)
    assert plan.search_space == {
        "lr": Hyperparameter(Uniform(0.001, 1.0), Uniform(0.0001, 1.0)),
        "momentum": Hyperparameter(Uniform(0.001, 1.0), Choice((0.8, 0.9, 0.99))),
    }
    assert plan.labels == {
        "model": "resnet18",
        "dataset": "cifar10",
        "scheduler": "hrfs",
        "cluster": "local",
        "batch_size": 512,
    }


def test_population_keys_reach_the_plan() -> None:
    plan = build_plan(
        composed(
            "seed=7",
            "population.size=3",
            "population.metric=val/loss",
            "population.mode=min",
            "population.target_score=0.1",
            "population.stop_on_target=true",
        ),
        {},
    )
    assert (plan.seeds, plan.trials, plan.metric, plan.mode) == ((7,), 3, "val/loss", "min")
    assert (plan.target_score, plan.stop_on_target) == (0.1, True)


def test_scheduler_and_runner() -> None:
    config = composed("scheduler=ray_pbt", "scheduler.request=gpu", "seed=5", "dataset.root=d")
    assert build_scheduler(config) == SchedulerChoice("ray_pbt", "gpu")
    runner = build_runner(config)
    assert runner.factory == "hrfs.training.runner:build"
    assert runner.final == "hrfs.training.final:evaluate_winner"
    assert set(runner.settings) == {
        "model", "dataset", "trainer", "seed", "allowed_targets", "stop_iterations",
    }  # fmt: skip
    assert runner.settings["seed"] == 5
    assert runner.settings["dataset"]["root"].startswith("/")
    assert type(runner.settings["model"]) is dict


def test_seeds_make_populations_of_the_given_size() -> None:
    config = composed("seeds=[4,0,2]", "population.size=3", "dataset.root=d")
    plan = build_plan(config, {})
    assert (plan.seeds, plan.trials) == ((4, 0, 2), 9)
    runner = build_runner(config)
    assert runner.settings["seeds"] == [4, 0, 2]
    assert runner.settings["population_size"] == 3
    assert "seed" not in runner.settings
    alone = build_plan(composed("seed=2", "population.size=3"), {})
    for member in range(3):
        first = plan.initial_hyperparameters(6 + member)
        assert first == alone.initial_hyperparameters(member)
    assert build_plan(composed("seeds=[2]", "population.size=3"), {}) == alone


def test_the_limit_of_staleness_is_off_unless_given() -> None:
    assert build_scheduler(composed()) == SchedulerChoice("hrfs", "auto", None)
    limited = composed("scheduler=hrfs", "scheduler.max_staleness=100")
    assert build_scheduler(limited) == SchedulerChoice("hrfs", max_staleness_iterations=100)
    assert build_scheduler(composed("scheduler=static")).max_staleness_iterations is None


def test_a_wrong_trainer_setting_is_found_before_the_cluster() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.precision=8: must be one of"):
        build_runner(composed("trainer.precision='8'"))


def test_a_shape_of_the_rate_spans_the_iterations_of_a_trial() -> None:
    shaped = "trainer.lr_schedule=cosine"
    runner = build_runner(composed(shaped, "population.stop_iterations=70"))
    assert RunnerSettings.from_plain(runner.settings).lr_shape == LrShape("cosine", 70, 0.2)
    replay = ("scheduler=replay", f"schedule={SCHEDULE}", "population.stop_iterations=70")
    stop = read_schedule(SCHEDULE).iterations
    assert stop != 70
    assert build_runner(composed(shaped, *replay)).settings["stop_iterations"] == stop
    with pytest.raises(ConfigError, match=r"trainer\.lr_schedule=cosin: must be one of constant"):
        build_runner(composed("trainer.lr_schedule=cosin"))


def test_what_the_devices_cannot_do_is_found_before_the_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = build_runner(composed("trainer.precision=16-mixed"))
    assert runner.check == "hrfs.training.device_check:check_workers"  # once workers are known
    with pytest.raises(ConfigError, match=r"trainer\.precision=16-mixed: worker gpu-0, a CPU,"):
        build_runner(composed("cluster=emulated", "trainer.precision=16-mixed"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"trainer\.compile=true: this machine"):
        build_runner(composed("trainer.compile=true"))
    build_runner(composed("cluster=emulated", "trainer.compile=auto", "trainer.precision=auto"))


def test_emulated_cluster() -> None:
    cluster = build_cluster(composed("cluster=emulated"))
    assert cluster.mode == "emulated"
    assert len(cluster.emulated) == 4
    assert cluster.emulated[0] == EmulatedWorker("gpu-0", "gpu", 1.0, 1)
    assert len({worker.slowdown for worker in cluster.emulated}) == 4


def test_local_cluster_is_the_default() -> None:
    assert build_cluster(composed()) == ClusterSettings()


def _address(allocation: Any) -> dict[str, Any]:
    config = composed("cluster=address", "cluster.address=10.0.0.1:6379")
    config["cluster"]["allocation"] = allocation
    return config


def test_allocation_by_host() -> None:
    cluster = build_cluster(
        _address(
            {
                "10.0.0.1": {"gpus_per_worker": 0.5, "cpus_per_gpu_worker": 2},
                "node7": {"cpus_per_worker": 12},
            }
        )
    )
    assert cluster.allocation == {
        "10.0.0.1": NodeAllocation(0, 0.5, 2),
        "node7": NodeAllocation(12, 0.0, 1),
    }
    assert cluster.default_allocation is None  # what is not named gets no worker


def test_allocation_of_the_other_hosts() -> None:
    named = {"node7": {"cpus_per_worker": 12}}
    assert build_cluster(_address("auto")).default_allocation == "auto"
    assert build_cluster(_address({**named, "default": "auto"})).default_allocation == "auto"
    others = build_cluster(_address({"default": {"cpus_per_worker": 4}}))
    assert others.allocation == {}
    assert others.default_allocation == NodeAllocation(4)


@pytest.mark.parametrize(
    ("allocation", "message"),
    [
        ("all", "cluster.allocation=all: must be auto or map host names or IP addresses"),
        ({}, "cluster.allocation={}: must be auto or map"),
        ({"n": 4}, "cluster.allocation[n]=4: must be a mapping with cpus_per_worker, gpus"),
        ({"n": {"cpus_per_worker": "x"}}, "cluster.allocation[n].cpus_per_worker=x: Value 'x'"),
        ({"n": {"cpu_per_worker": 1}}, "cluster.allocation[n].cpu_per_worker=1: Key"),
        ({"n": {"cpus_per_worker": -1}}, "cluster.allocation[n].cpus_per_worker=-1: must be at"),
        ({"n": {"gpus_per_worker": -1}}, "cluster.allocation[n].gpus_per_worker=-1.0: must be"),
        (
            {"n": {"gpus_per_worker": 0.3}},
            "cluster.allocation[n].gpus_per_worker=0.3: does not divide "
            "a GPU into equal parts; nearest are 0.25 (4 workers per GPU) and 0.3333 (3",
        ),
        (
            {"default": {"gpus_per_worker": 1.5}},
            "cluster.allocation[default].gpus_per_worker=1.5: a "
            "worker has whole GPUs, or a part of one; nearest are 1 and 2",
        ),
        ({"n": {}}, "cluster.allocation[n]={}: makes no worker; set cpus_per_worker or gpus_per"),
        ({"default": 3}, "cluster.allocation[default]=3: must be a mapping"),
    ],
)
def test_bad_allocations(allocation: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        build_cluster(_address(allocation))
    assert "\n" not in str(caught.value)


def test_plain_has_no_config_nodes_and_no_holes() -> None:
    cfg = OmegaConf.create({"a": [{"b": "${c}"}], "c": 2})
    assert to_plain(cfg) == {"a": [{"b": 2}], "c": 2}
    with pytest.raises(MissingMandatoryValue):
        to_plain(OmegaConf.create({"a": "???"}))
