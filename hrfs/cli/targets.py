"""Which classes a configuration may name, by their names alone: nothing is imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.training.targets import TARGET, allowed_prefixes, in_standard_library, is_allowed

NO_LIGHTNING = ("torch", "torchvision")
"""Allowed packages that have no Lightning module or data module: only parts come from them."""


def check_targets(settings: Mapping[str, Any], group: str, allowed: Sequence[str]) -> None:
    """Check every ``_target_`` within the mapping of ``group``, which itself must have one.

    Only the first part of a dotted name is looked up, so that nothing heavy is imported.

    Raises:
        ConfigError: none at the top, one that is not a name, is not allowed or not installed.
    """
    if TARGET not in settings:
        raise ConfigError(
            f"{group}.{TARGET}", "", "must name a class", f"e.g. my_package.My{group.title()}"
        )
    for key, name in _targets(settings, group):
        _check_target(key, name, allowed, part=key != f"{group}.{TARGET}")


def _targets(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == TARGET:
                yield f"{path}.{TARGET}", value
            else:
                yield from _targets(value, f"{path}.{key}")
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _targets(value, f"{path}[{index}]")


def _check_target(key: str, name: Any, allowed: Sequence[str], part: bool) -> None:
    if not isinstance(name, str) or not all(word.isidentifier() for word in name.split(".")):
        raise ConfigError(key, name, "must be a dotted name, such as my_package.MyModel")
    package, dot, _ = name.partition(".")
    if not dot:
        raise ConfigError(key, name, "must name a module and, after a dot, a class in it")
    if in_standard_library(name):
        rule = "is of Python's standard library, which no configuration may name"
        raise ConfigError(key, name, rule)
    if not is_allowed(name, allowed, part):
        raise ConfigError(
            key,
            name,
            f"must begin with one of {', '.join((*allowed_prefixes(part), *allowed))}",
            f"allow your own with allowed_targets=[{package}.]",
        )
    if not part and package in NO_LIGHTNING:
        kind = "LightningDataModule" if key.startswith("dataset") else "LightningModule"
        raise ConfigError(key, name, f"must be a {kind}, and {package} has none")
    if importlib.util.find_spec(package) is None:
        raise ConfigError(
            key, name, f"there is no module {package}", "install it, or start where it lies"
        )
