from __future__ import annotations

from typing import Any

import pytest

from hrfs.core.populations import Populations
from hrfs.experiment.errors import ConfigError
from hrfs.training.dataset_settings import parse_dataset, resolve_paths
from hrfs.training.lr_shapes import LrShape
from hrfs.training.settings import RunnerSettings

GROUPS = {"model": {"_target_": "hrfs.A"}, "dataset": {"_target_": "hrfs.B"}}


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"precision": "8-bit"}, r"trainer\.precision=8-bit: must be one of 32-true"),
        ({"channels_last": "yes"}, r"trainer\.channels_last=yes: must be true or false or auto"),
        (
            {"compile": "fast"},
            r"trainer\.compile=fast: must be true, false, auto, or one of default,",
        ),
        ({"compile": None}, r"trainer\.compile=None: must be true, false, auto"),
        ({"validation_samples": 0}, r"trainer\.validation_samples=0: must be a whole number >= 1"),
        ({"threads": 0}, r"trainer\.threads=0: must be a whole number >= 1 or auto"),
        ({"threads": True}, r"trainer\.threads=True: must be a whole number"),
        ({"lr_schedule": "onecycle"}, r"trainer\.lr_schedule=onecycle: must be one of constant, "
         r"cosine, one_cycle$"),
        ({"lr_schedule": None}, r"trainer\.lr_schedule=None: must be one of constant"),
        ({"warmup_fraction": 1}, r"trainer\.warmup_fraction=1: must be a number from 0 on and"),
        ({"warmup_fraction": -0.1}, r"trainer\.warmup_fraction=-0\.1: must be a number from 0"),
        ({"warmup_fraction": float("nan")}, r"trainer\.warmup_fraction=nan: must be a number"),
        ({"warmup_fraction": True}, r"trainer\.warmup_fraction=True: must be a number"),
        ({"warmup_fraction": "x"}, r"trainer\.warmup_fraction=x: must be a number"),
        ({"lr_schedule": "cosine"}, r"population\.stop_iterations=None: must be a whole number >="),
        ({"precison": "32-true"}, r"trainer\.precison=32-true: .*did you mean precision\?"),
    ],
)  # fmt: skip
def test_trainer_values_are_checked(trainer: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RunnerSettings.from_plain({**GROUPS, "trainer": trainer, "seed": 0})


def test_a_shape_spans_the_whole_life_of_a_trial() -> None:
    trainer = {"lr_schedule": "one_cycle", "warmup_fraction": 0.3}
    plain = {**GROUPS, "seed": 0, "stop_iterations": 40}
    shaped = RunnerSettings.from_plain({**plain, "trainer": trainer})
    assert shaped.lr_shape == LrShape("one_cycle", 40, 0.3)
    assert RunnerSettings.from_plain(plain).lr_shape is None


@pytest.mark.parametrize("group", ["model", "dataset"])
def test_a_group_without_a_target_is_refused(group: str) -> None:
    with pytest.raises(ConfigError, match=rf"{group}\._target_"):
        RunnerSettings.from_plain({**GROUPS, group: {"lr": 1}})


def test_seed_zero_counts_and_a_negative_one_is_refused() -> None:
    assert RunnerSettings.from_plain({**GROUPS, "seed": 0}).populations == Populations((0,))
    with pytest.raises(ConfigError, match=r"seed=-1: must be a whole number >= 0"):
        RunnerSettings.from_plain({**GROUPS, "seed": -1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, r"dataset\.batch_size=0: must be a whole number >= 1"),
        ({"batch_size": 2.5}, r"dataset\.batch_size=2\.5: must be a whole number"),
        ({"validation_fraction": 1.0}, r"dataset\.validation_fraction=1\.0: must lie between"),
        ({"validation_fraction": 0}, r"dataset\.validation_fraction=0: must lie between"),
        ({"validation_fraction": "x"}, r"dataset\.validation_fraction=x: must be a number"),
        ({"augment": 1}, r"dataset\.augment=1: must be true or false"),
        ({"root": None}, r"dataset\.root=None: must be a text"),
        ({"image_size": -3}, r"dataset\.image_size=-3: must be a whole number >= 1"),
        ({"bacth_size": 3}, r"dataset\.bacth_size=3: .*did you mean batch_size\?"),
    ],
)
def test_dataset_values_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_dataset({"name": "digits", **change})


def test_paths_of_our_datasets_become_absolute(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = {"_target_": "hrfs.training.data.ImageData", "name": "cifar10", "root": "data"}
    assert resolve_paths(ours)["root"] == str(tmp_path / "data")
    assert "checksums" not in resolve_paths(ours)
    own_list = resolve_paths({**ours, "checksums": "md5.txt"})
    assert own_list["checksums"] == str(tmp_path / "md5.txt")
    theirs = {"_target_": "my.Data", "root": "data"}
    assert resolve_paths(theirs) == theirs
