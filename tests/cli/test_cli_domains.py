"""Search spaces from configuration."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hrfs.cli.domains import build_search_space, parse_domain
from hrfs.core.search_space import Choice, Domain, IntRange, LogUniform, Uniform
from hrfs.experiment.errors import ConfigError


@pytest.mark.parametrize(
    ("spec", "domain"),
    [
        (["uniform", 0.001, 1], Uniform(0.001, 1.0)),
        (["loguniform", 1e-4, 1.0], LogUniform(1e-4, 1.0)),
        (["int", 16, 64], IntRange(16, 64)),
        (["choice", 0.8, 0.9, 0.99], Choice((0.8, 0.9, 0.99))),
        (["choice", "sgd"], Choice(("sgd",))),
    ],
)
def test_each_kind(spec: list[Any], domain: Domain) -> None:
    parsed = parse_domain("k", spec)
    assert parsed == domain
    assert type(parsed) is type(domain)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([], "k=[]: must begin with its kind; one of uniform, loguniform, int, choice"),
        (["uniforn", 0, 1], "k=uniforn: must be one of uniform, loguniform, int, choice; "
                            "did you mean uniform?"),
        (["uniform", 1.0, 0.1], "k=[uniform, 1.0, 0.1]: low must be below high; swap the two"),
        (["uniform", 0.5, 0.5], "k=[uniform, 0.5, 0.5]: low must be below high"),
        (["uniform", 0.1], "k=[uniform, 0.1]: uniform takes two numbers, low and high"),
        (["uniform", "a", 1], "k=[uniform, a, 1]: 'a' is not a finite number"),
        (["uniform", 0, float("inf")], "k=[uniform, 0, inf]: inf is not a finite number"),
        (["uniform", float("nan"), 1], "nan is not a finite number"),
        (["uniform", False, True], "False is not a finite number"),
        (["loguniform", 0, 1], "the low end of loguniform must be above 0"),
        (["int", 0.5, 2], "k=[int, 0.5, 2]: the ends of int must be whole numbers"),
        (["choice"], "k=[choice]: choice needs at least one value"),
    ],
)  # fmt: skip
def test_what_is_no_range(spec: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_domain("k", spec)


def test_mutations_join_their_hyperparameters() -> None:
    space = build_search_space(
        {"lr": ["uniform", 0.001, 1.0], "momentum": ["uniform", 0.001, 1.0]},
        {"momentum": ["choice", 0.8, 0.9]},
    )
    assert space["lr"].mutation is None
    assert space["momentum"].initial == Uniform(0.001, 1.0)
    assert space["momentum"].mutation == Choice((0.8, 0.9))


def test_mutation_of_an_unknown_hyperparameter() -> None:
    message = (
        "population.mutations.momentun=[choice, 0.9]: mutates a hyperparameter that "
        "population.search_space does not name; did you mean momentum?"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_search_space({"momentum": ["uniform", 0, 1]}, {"momentun": ["choice", 0.9]})


def test_empty_search_space() -> None:
    message = "population.search_space={}: must name at least one hyperparameter"
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_search_space({}, {})
