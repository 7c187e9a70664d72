"""Search spaces as configuration writes them, turned into those of the scheduling core.

A range is a list that begins with its kind: ``[uniform, low, high]``, ``[loguniform, low,
high]``, ``[int, low, high]`` (both ends included) or ``[choice, value, ...]``. A list, because
Hydra merges mappings but replaces lists: an override of the kind leaves nothing behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hrfs.cli.names import require_one_of, suggestion
from hrfs.core.search_space import (
    Choice,
    Domain,
    Hyperparameter,
    IntRange,
    LogUniform,
    SearchSpace,
    Uniform,
)
from hrfs.experiment.errors import ConfigError

KINDS = ("uniform", "loguniform", "int", "choice")
_INT_BEYOND = 2**63 - 1
"""The random generator draws whole numbers below this."""


def build_search_space(
    search_space: Mapping[str, Sequence[Any]], mutations: Mapping[str, Sequence[Any]]
) -> SearchSpace:
    """Join where first values are drawn with where training moves them.

    Raises:
        ConfigError: no hyperparameter, a mutation of an unknown one or of what is no number, a
            name that does not show, or a range that is none.
    """
    prefix = "population"
    if not search_space:
        raise ConfigError(
            f"{prefix}.search_space",
            "{}",
            "must name at least one hyperparameter",
            "e.g. population.search_space={lr:[loguniform,0.001,1]}",
        )
    for name in search_space:
        if not name.strip() or not name.isprintable():
            rule = "must be a name of printable characters"
            raise ConfigError(f"{prefix}.search_space", ascii(name), rule)
    for name in mutations:
        if name not in search_space:
            raise ConfigError(
                f"{prefix}.mutations.{name}",
                show(mutations[name]),
                "mutates a hyperparameter that population.search_space does not name",
                suggestion(name, search_space),
            )
    initial = {k: parse_domain(f"{prefix}.search_space.{k}", v) for k, v in search_space.items()}
    mutated = {k: parse_domain(f"{prefix}.mutations.{k}", v) for k, v in mutations.items()}
    for name, domain in mutated.items():
        _check_mutable(f"{prefix}.mutations.{name}", mutations[name], initial[name], domain)
    return {name: Hyperparameter(initial[name], mutated.get(name)) for name in initial}


def parse_domain(key: str, spec: Sequence[Any]) -> Domain:
    """One range; ``key`` is its place in the configuration, for messages.

    Raises:
        ConfigError: unknown kind, wrong number or type of ends, reversed or empty range.
    """
    if not spec:
        raise ConfigError(key, "[]", "must begin with its kind", f"one of {', '.join(KINDS)}")
    kind, *values = spec
    require_one_of(key, str(kind), KINDS)
    if kind == "choice":
        if not values:
            raise ConfigError(key, show(spec), "choice needs at least one value")
        return Choice(tuple(values))
    low, high = _ends(key, spec)
    if kind == "int":
        return _int_range(key, spec, low, high)
    if kind == "uniform":
        return Uniform(float(low), float(high))
    if low <= 0:
        raise ConfigError(key, show(spec), "the low end of loguniform must be above 0")
    return LogUniform(float(low), float(high))


def _check_mutable(key: str, spec: Sequence[Any], initial: Domain, mutation: Domain) -> None:
    """A number can be moved within a range; a word only along a list."""
    if isinstance(mutation, Choice) or not isinstance(initial, Choice):
        return
    for value in initial.values:
        if not _is_finite(value):
            rule = f"cannot move {value!r}, which is no finite number"
            raise ConfigError(key, show(spec), rule, "mutate it by a choice")


def show(spec: Sequence[Any]) -> str:
    """A range as it is written on the command line."""
    return f"[{', '.join(str(part) for part in spec)}]"


def _ends(key: str, spec: Sequence[Any]) -> tuple[float, float]:
    kind, *values = spec
    if len(values) != 2:
        raise ConfigError(key, show(spec), f"{kind} takes two numbers, low and high")
    for value in values:
        if not _is_finite(value):
            raise ConfigError(key, show(spec), f"{value!r} is not a finite number")
    low, high = values
    if low >= high:
        raise ConfigError(key, show(spec), "low must be below high", "swap the two")
    if not math.isfinite(float(high) - float(low)):
        raise ConfigError(key, show(spec), "low and high are too far apart")
    return low, high


def _is_finite(value: Any) -> bool:
    """Whether ``value`` is a number that a float can hold; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _int_range(key: str, spec: Sequence[Any], low: float, high: float) -> IntRange:
    if int(low) != low or int(high) != high:
        raise ConfigError(key, show(spec), "the ends of int must be whole numbers")
    if low < -_INT_BEYOND or high >= _INT_BEYOND:
        raise ConfigError(key, show(spec), "the ends of int must fit into 64 bits")
    return IntRange(int(low), int(high))
