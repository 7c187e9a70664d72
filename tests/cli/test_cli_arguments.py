"""What is run if the command line does not say so, and in which order Hydra sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrfs.cli.arguments import DEFAULT_EXPERIMENT, for_hydra, own_config_dirs, split


@pytest.mark.parametrize(
    "typed",
    [
        [],
        ["dataset=fashion_mnist"],
        ["seed=1", "cluster=local"],
        ["--cfg", "job"],
        ["model.stem=cifar"],
        ["-m", "seed=0,1"],
    ],
)
def test_without_model_or_experiment_it_is_the_demo(typed: list[str]) -> None:
    assert for_hydra(typed)[0] == DEFAULT_EXPERIMENT
    assert sorted(for_hydra(typed)[1:]) == sorted(typed)


@pytest.mark.parametrize(
    "typed",
    [
        ["model=resnet18"],
        ["model=resnet18,resnet50", "-m"],
        ["experiment=smoke"],
        ["+experiment=smoke"],
        ["~model"],
        ["--config-name", "mine"],
        ["--config-path=elsewhere"],
        ["--config-na", "mine"],
        ["query=bash", "-sc"],
    ],
)
def test_whoever_says_what_to_run_gets_that(typed: list[str]) -> None:
    assert sorted(for_hydra(typed)) == sorted(typed)


def test_null_experiment_gives_plain_defaults() -> None:
    assert for_hydra(["experiment=null", "seed=3"]) == ["seed=3"]


def test_overrides_on_both_sides_of_an_option_come_in_one_row() -> None:
    assert for_hydra(["model=a", "-m", "seed=0,1", "--config-dir", "x", "b=1"]) == [
        "model=a",
        "seed=0,1",
        "b=1",
        "-m",
        "--config-dir",
        "x",
    ]


def test_info_takes_a_word_but_no_override() -> None:
    assert split(["--info", "searchpath", "a=1"]) == (["--info", "searchpath"], ["a=1"])
    assert split(["--info", "a=1"]) == (["--info"], ["a=1"])


def test_own_config_dirs_in_both_spellings() -> None:
    options = ["--config-dir", "one", "--config-dir=two", "-m"]
    assert own_config_dirs(options) == [Path("one"), Path("two")]
