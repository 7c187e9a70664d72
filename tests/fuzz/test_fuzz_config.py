"""Any value of any key of the configuration: a run plan, or one line that says what is wrong."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fuzz_cases import fuzz
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hypothesis import example
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from junk import numbers, scalars, texts, values
from omegaconf import DictConfig, OmegaConf

from hrfs.cli import job, schema
from hrfs.cli.build import build_cluster, build_plan, build_runner, build_scheduler, to_plain
from hrfs.cli.compose import compose_and_run
from hrfs.cli.domains import build_search_space
from hrfs.cli.errors import explain
from hrfs.cli.paths import config_dir, config_groups
from hrfs.cli.validate import validate
from hrfs.core.search_space import Choice, SearchSpace, sample_all
from hrfs.core.settings import Settings
from hrfs.experiment.errors import ConfigError

GROUPS = ("model", "dataset", "trainer", "population", "scheduler", "cluster", "report")
CHOICES = [
    (group, path.stem)
    for group in (*GROUPS, "experiment")
    for path in sorted((config_dir() / group).glob("*.yaml"))
]
PLAUSIBLE: dict[str, list[Any]] = {
    "seed": [0, 7],
    "seeds": [None, [0], [3, 1], [0, 0], [-1], []],
    "allowed_targets": [[], ["my_package."], ["os"], [""]],
    "population.mode": ["min", "max"],
    "population.target_score": [None, 0.5],
    "population.stop_on_target": [True, False],
    "scheduler.policy": ["hrfs", "hrfs_paper", "greedy", "static", "fastest_only", "ray_pbt"],
    "scheduler.request": ["auto", "cpu", "gpu"],
    "scheduler.max_staleness": [None, 20, 1000],
    "cluster.mode": ["local", "emulated", "address"],
    "cluster.address": [None, "10.0.0.1:6379"],
    "cluster.allocation": [
        "auto",
        {"a": {"gpus_per_worker": 0.5}, "default": "auto"},
        {"a": {"cpus_per_worker": 0}},
        {1: None, "default": {"cpus_per_worker": 2.5}},
        {"a": {"cpus_per_worker": [], "x": 1}},
    ],
    "cluster.emulated": [
        [],
        [{"name": "a"}],
        [{"name": "a"}, {"name": "a"}],
        [{"name": "a", "kind": "tpu"}],
        [{"name": "a", "slowdown": 0.5}],
        [{}],
    ],
    "report.console": ["auto", "live", "plain", "quiet"],
}
KINDS = st.sampled_from(["uniform", "loguniform", "int", "choice"])
ENDS = st.lists(numbers(), min_size=2, max_size=2).map(sorted)
RANGES = st.one_of(
    st.builds(lambda kind, ends: [kind, *ends], KINDS, ENDS),
    st.builds(lambda kind, ends: [kind, *ends], KINDS | scalars(), st.lists(values(), max_size=3)),
)
SPACES = st.dictionaries(st.sampled_from(["lr", "momentum"]) | texts(), RANGES, max_size=3)


@cache
def composed(group: str, option: str) -> DictConfig:
    """The demo with one other choice, as Hydra composes it."""
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        if group == "experiment":
            return compose("config", [f"experiment={option}"])
        return compose("config", ["experiment=demo", f"{group}={option}"])


def values_by_key(node: Any, prefix: str = "") -> dict[str, Any]:
    """The dotted path of every value and of everything that holds values."""
    if not isinstance(node, dict | list):
        return {}
    found = {}
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        found[f"{prefix}{key}"] = value
        found |= values_by_key(value, f"{prefix}{key}.")
    return found


@cache
def keys(group: str, option: str) -> dict[str, Any]:
    """All of a composed configuration, with their values."""
    return values_by_key(OmegaConf.to_container(composed(group, option)))


OF_TYPE: dict[type, SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(1, 60),
    float: st.floats(0, 1),
    str: texts(),
}


def value_of(key: str, now: Any) -> SearchStrategy[Any]:
    """Two times out of three something near what the key is for, else anything."""
    if key in ("population.search_space", "population.mutations"):
        near = SPACES
    elif key in PLAUSIBLE:
        near = st.sampled_from(PLAUSIBLE[key])
    else:
        near = OF_TYPE.get(type(now), numbers())
    return st.one_of(near, near, values())


@st.composite
def changes(draw: st.DrawFn) -> tuple[tuple[str, str], list[tuple[str, Any]]]:
    """A choice of a group, and up to five keys with new values, some of them unknown keys."""
    choice = draw(st.sampled_from(CHOICES))
    known = keys(*choice)
    changed = []
    for _ in range(draw(st.integers(1, 5))):
        key = draw(st.sampled_from(list(known)))
        value = draw(value_of(key, known[key]))
        if draw(st.integers(0, 19)) == 0:
            key = f"{key.rpartition('.')[0]}.{draw(st.sampled_from(['x', 'sise', '_target_']))}"
        changed.append((key.lstrip("."), value))
    return choice, changed


def outcome(cfg: DictConfig, changed: list[tuple[str, Any]]) -> ConfigError | None:
    """What comes of the changes, told as the command line tells it; None is a run plan.

    Raises:
        Exception: what would be a traceback.
    """
    overrides = [
        Override(OverrideType.CHANGE, key, ValueType.ELEMENT, value, input_line=f"{key}=")
        for key, value in changed
    ]
    typed = [key for key, _ in changed]
    try:
        ConfigLoaderImpl._apply_overrides_to_config(overrides, cfg)
        plan_of(to_plain(cfg))
    except Exception as error:
        fault = explain(error, typed, config_groups())
        if fault is None:
            raise
        return fault
    return None


def plan_of(config: dict[str, Any]) -> None:
    """All that is made before a run touches files or cluster, and first values and new ones."""
    validate(config)
    plan = build_plan(config, {})
    build_cluster(config), build_scheduler(config), build_runner(config)
    assert yaml.safe_load(yaml.safe_dump(config, sort_keys=False)).keys() == config.keys()
    Settings(plan.stop_iterations, plan.interval_iterations, populations=plan.populations)
    rng = np.random.default_rng(0)
    check_draws(plan.search_space, plan.initial_hyperparameters(plan.trials - 1), rng)


def check_draws(space: SearchSpace, first: dict[str, Any], rng: np.random.Generator) -> None:
    """Whatever is drawn at first can be mutated, and every number drawn is finite."""
    for name, hyperparameter in space.items():
        drawn = [first[name]]
        if hyperparameter.mutation is not None:
            drawn.append(hyperparameter.mutation.sample(rng))
            drawn.append(hyperparameter.mutation.perturb(first[name], rng)[0])
        if not isinstance(hyperparameter.initial, Choice):
            assert all(math.isfinite(value) for value in drawn[:1])
        if hyperparameter.mutation and not isinstance(hyperparameter.mutation, Choice):
            assert all(math.isfinite(value) for value in drawn[1:])


def is_one_line(fault: ConfigError) -> None:
    told = str(fault)
    assert len(told.splitlines()) == 1
    assert told.startswith(" ".join(fault.key.split()))
    assert fault.key
    assert fault.rule
    assert "Traceback" not in told


@fuzz(0.25, change=changes())
def test_any_values_of_any_keys(change: tuple[tuple[str, str], list[tuple[str, Any]]]) -> None:
    (group, option), changed = change
    fault = outcome(composed(group, option).copy(), changed)
    if fault is not None:
        is_one_line(fault)


@fuzz(0.1, space=SPACES, mutations=SPACES, seed=st.integers(0, 3))
def test_any_search_space(space: dict[str, Any], mutations: dict[str, Any], seed: int) -> None:
    """A range that is accepted can be drawn from, and its values be mutated."""
    try:
        found = build_search_space(space, {k: v for k, v in mutations.items() if k in space})
    except ConfigError as fault:
        is_one_line(fault)
        return
    rng = np.random.default_rng(seed)
    check_draws(found, sample_all(found, rng), rng)


TYPED_KEYS = st.one_of(
    st.sampled_from([*GROUPS, "experiment", "seed", "seeds", "max_failures", "populaton"]),
    st.sampled_from(CHOICES[:3]).flatmap(lambda choice: st.sampled_from(sorted(keys(*choice)))),
)
TYPED = st.one_of(texts(), scalars().map(str), values().map(json.dumps), SPACES.map(str))


@st.composite
def arguments(draw: st.DrawFn) -> list[str]:
    """Up to three arguments, as somebody might type them."""
    count = draw(st.integers(1, 3))
    marks = st.sampled_from(["", "", "", "+", "++", "~"])
    return [f"{draw(marks)}{draw(TYPED_KEYS)}={draw(TYPED)}" for _ in range(count)]


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The command line in a folder of its own; in place of looking at data it says that all
    before was well.
    """

    def built(dataset: object) -> None:
        raise ConfigError("run plan", "", "is made")

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "check_data", built)
        patch.chdir(tmp_path_factory.mktemp("typed"))
        yield Path.cwd()
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.usefixtures("command_line")
@example(["population.search_space.lr.x=0"])
@example([f"seed={'1' * 5000}"])
@example(["cluster.emulated.99.name=a"])
@example(["model=6"])
@example(["~report=1"])
@example(["model=[1]"])
@fuzz(0.04, typed=arguments())
def test_whatever_is_typed(typed: list[str]) -> None:
    with pytest.raises(ConfigError) as told:
        compose_and_run([*typed, "hydra.run.dir=out"])
    is_one_line(told.value)
