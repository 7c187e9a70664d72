"""Rules of values and of their combinations."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from hrfs.cli.validate import CONSOLE_MODES, SCHEDULERS, validate
from hrfs.core.policies import POLICIES
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import HRFS

Config = dict[str, Any]


@pytest.fixture
def config() -> Config:
    return {
        "seed": 0,
        "seeds": None,
        "max_failures": 4,
        "logger": [],
        "schedule": None,
        "allowed_targets": [],
        "model": {"_target_": "hrfs.training.module.ImageClassifier"},
        "dataset": {"_target_": "hrfs.training.data.ImageData"},
        "trainer": {},
        "population": {
            "size": 4,
            "stop_iterations": 100,
            "interval_iterations": 10,
            "target_score": 0.8,
            "stop_on_target": False,
            "metric": "val/acc",
            "mode": "max",
            "quantile": 0.25,
            "resample_probability": 0.25,
        },
        "scheduler": {"policy": "hrfs", "request": "auto", "max_staleness": None},
        "cluster": {
            "mode": "local",
            "address": None,
            "allocation": "auto",
            "emulated": [],
            "reserved_cpus": 1,
            "answer_within_s": 10.0,
            "wait_s": 600.0,
            "hung_after": 5.0,
            "hung_least_s": 60.0,
            "hung_unknown_s": 3600.0,
            "pin_cores": "auto",
        },
        "report": {"every_s": 300.0, "console": "auto"},
    }


def _set(dotted: str, value: Any) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        *path, last = dotted.split(".")
        for part in path:
            config = config[part]
        config[last] = value

    return change


def _emulate(**changes: Any) -> Callable[[Config], None]:
    worker = {"name": "a", "kind": "cpu", "slowdown": 1.0, "threads": 1, **changes}

    def change(config: Config) -> None:
        config["cluster"] |= {"mode": "emulated", "emulated": [worker]}

    return change


def test_more_emulated_threads_than_cores_are_not_pinned(config: Config) -> None:
    _emulate(threads=100_000)(config)
    config["cluster"]["pin_cores"] = True
    rule = r"this machine take 100000 cores and it has \d+ for them; make fewer or smaller workers"
    with pytest.raises(ConfigError, match=rf"cluster\.pin_cores=true: the workers of {rule}"):
        validate(config)
    config["cluster"]["mode"] = "address"
    config["cluster"] |= {"address": "h:1", "emulated": []}
    validate(config)  # that cluster's machines are asked once it is joined


def test_a_system_without_pinning_is_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config["cluster"]["pin_cores"] = True
    validate(config)
    monkeypatch.delattr("os.sched_setaffinity")
    with pytest.raises(ConfigError, match=r"true: the system of this machine lets no process ch"):
        validate(config)
    config["cluster"]["pin_cores"] = "auto"
    validate(config)


def test_a_good_one_passes_and_stays_as_it_is(config: Config) -> None:
    before = deepcopy(config)
    validate(config)
    assert config == before
    _emulate(kind="gpu:A100")(config)
    before = deepcopy(config)
    validate(config)
    assert config == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("seed", -1), "seed=-1: must be at least 0"),
        (_set("max_failures", -1), "max_failures=-1: must be at least 0"),
        (_set("foo", 1), "foo=1: there is no such key"),
        (_set("report.evry_s", 1), "report.evry_s=1: there is no such key; did you mean every_s?"),
        (_set("population.size", 0), "population.size=0: must be at least 1"),
        (_set("population.stop_iterations", 0), "population.stop_iterations=0: must be at least 1"),
        (_set("population.interval_iterations", 0),
         "population.interval_iterations=0: must be at least 1"),
        (_set("population.interval_iterations", 101), "population.interval_iterations=101: must "
         "be at most population.stop_iterations, which is 100"),
        (_set("population.quantile", 0.6), "population.quantile=0.6: must be between 0 and 0.5"),
        (_set("population.quantile", float("nan")), "population.quantile=nan: must be between"),
        (_set("population.resample_probability", 2.0),
         "population.resample_probability=2.0: must be between 0 and 1"),
        (_set("population.mode", "maximum"), "population.mode=maximum: must be one of max, min; "
         "did you mean max?"),
        (_set("population.target_score", float("nan")), "population.target_score=nan: must be"),
        (_set("scheduler.policy", "hfrs"), "scheduler.policy=hfrs: must be one of hrfs, "
         "hrfs_paper, static, fastest_only, greedy, ray_pbt, replay; did you mean hrfs?"),
        (_set("scheduler.request", "gpu"), "scheduler.request=gpu: is for scheduler=ray_pbt alone"),
        (_set("scheduler.max_staleness", 9), "scheduler.max_staleness=9: must be at least "
         "population.interval_iterations, which is 10; null sets no limit"),
        (_set("scheduler.max_staleness", 0), "scheduler.max_staleness=0: must be at least"),
        (_set("cluster.mode", "locl"), "cluster.mode=locl: must be one of local, emulated, "
         "address; did you mean local?"),
        (_set("cluster.mode", "address"), "cluster.address=null: must be given"),
        (_set("cluster.address", "h:1"), "cluster.address=h:1: is for cluster=address alone"),
        (_set("cluster.mode", "emulated"), "cluster.emulated=[]: must list at least one worker"),
        (_set("cluster.emulated", [{}]), "cluster.emulated=1 workers: not used by mode local"),
        (_set("cluster.answer_within_s", 0.0), "cluster.answer_within_s=0.0: must be above 0"),
        (_set("cluster.wait_s", -1.0), "cluster.wait_s=-1.0: must be above 0"),
        (_set("cluster.hung_after", 1.0), "cluster.hung_after=1.0: must be above 1, a multiple of "
         "the time predicted for a slice; null abandons no slice"),
        (_set("cluster.hung_after", math.nan), "cluster.hung_after=nan: must be above 1"),
        (_set("cluster.hung_least_s", 0.0), "cluster.hung_least_s=0.0: must be above 0"),
        (_set("cluster.pin_cores", "yes"), "cluster.pin_cores=yes: must be auto, true or false"),
        (_set("cluster.hung_unknown_s", 59.0), "cluster.hung_unknown_s=59.0: must be at least "
         "cluster.hung_least_s, which is 60"),
        (_emulate(kind="tpu"), "cluster.emulated[0].kind=tpu: must be cpu, gpu or gpu:<model>"),
        (_emulate(slowdown=0.5), "cluster.emulated[0].slowdown=0.5: must be at least 1"),
        (_emulate(threads=0), "cluster.emulated[0].threads=0: must be at least 1"),
        (_set("report.every_s", 0.0), "report.every_s=0.0: must be above 0"),
        (_set("report.console", "loud"), "report.console=loud: must be one of auto, live, plain"),
        (_set("model", {}), "model._target_=: must name a class; e.g. my_package.MyModel"),
        (_set("dataset", {}), "dataset._target_=: must name a class"),
        (_set("model._target_", "Net"), "model._target_=Net: must name a module and, after a dot"),
        (_set("model._target_", "a b.C"), "model._target_=a b.C: must be a dotted name"),
        (_set("model._target_", "their.Net"), "model._target_=their.Net: must begin with "
         "one of hrfs., torch., torchvision., pytorch_lightning., lightning.; allow your own with "
         "allowed_targets=[their.]"),
        (_set("model._target_", "torchy.Net"), "model._target_=torchy.Net: must begin with one"),
        (_set("model.layers", [{"_target_": "their.Net"}]),
         "model.layers[0]._target_=their.Net: must begin with one of hrfs.core., hrfs.training., "
         "torch.nn., torch.optim., "),
    ],
)  # fmt: skip
def test_each_rule_says_key_value_and_what_is_right(
    config: Config, change: Callable[[Config], None], message: str
) -> None:
    change(config)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        validate(config)
    assert "\n" not in str(caught.value)


def test_stop_on_target_needs_a_target(config: Config) -> None:
    config["population"] |= {"stop_on_target": True, "target_score": None}
    message = "population.stop_on_target=True: needs population.target_score, which is null"
    with pytest.raises(ConfigError, match=message):
        validate(config)


def test_staleness_is_bounded_by_the_one_rule_that_can(config: Config) -> None:
    config["scheduler"]["max_staleness"] = 10
    validate(config)
    for policy in set(SCHEDULERS) - {"hrfs"}:
        config["scheduler"]["policy"] = policy
        message = r"^scheduler\.max_staleness=10: is for scheduler=hrfs alone; the other rules know"
        with pytest.raises(ConfigError, match=message):
            validate(config)


def test_seeds_or_a_seed(config: Config) -> None:
    config["seeds"] = [3, 0, 7]
    validate(config)
    config["seeds"], config["scheduler"]["policy"] = [3], "ray_pbt"
    validate(config)  # one population, whose seed is named in a list
    for overrides in (["seed=0"], ["population.size=4", "++seed=0"]):
        with pytest.raises(
            ConfigError, match=r"^seeds=\[3\]: cannot be given beside seed=0; leave"
        ):
            validate(config, overrides)
    validate(config, ["dataset.split_seed=5", "seeds=[3]"])
    config["seed"] = 1  # from a file of the user's own
    with pytest.raises(ConfigError, match=r"^seeds=\[3\]: cannot be given beside seed=1; leave"):
        validate(config)


def test_two_workers_of_one_name(config: Config) -> None:
    _emulate()(config)
    config["cluster"]["emulated"] *= 2
    with pytest.raises(ConfigError, match=r"cluster\.emulated=a: 2 workers have this name"):
        validate(config)


def test_own_packages_are_allowed_by_name(config: Config) -> None:
    config["model"] = {"_target_": "rich.table.Table", "layer": {"_target_": "rich.text.Text"}}
    with pytest.raises(ConfigError, match=r"model\._target_=rich\.table\.Table: "):
        validate(config)
    config["allowed_targets"] = ["rich."]
    config["dataset"] = {"_target_": "rich.table.Table"}
    validate(config)


def test_an_allowed_package_that_is_not_there(config: Config) -> None:
    config["allowed_targets"] = ["no_such_package."]
    config["model"] = {"_target_": "no_such_package.Net"}
    message = "model._target_=no_such_package.Net: there is no module no_such_package"
    with pytest.raises(ConfigError, match=message):
        validate(config)


def test_names_are_those_that_the_layers_below_know() -> None:
    from hrfs.reporting.console import MODES

    assert CONSOLE_MODES == MODES
    assert {*POLICIES, "ray_pbt", "replay"} == set(SCHEDULERS)
    assert HRFS in POLICIES
    assert {"hrfs", "hrfs_paper", "static", "fastest_only", "greedy"} == set(POLICIES)
