"""Which classes a configuration may name: no boundary against malice, but against accidents."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.training.targets import ALLOWED_PREFIXES, TARGET, is_allowed


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
        _check_target(key, name, allowed)


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


def _check_target(key: str, name: Any, allowed: Sequence[str]) -> None:
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(key, name, "must be a dotted name, such as my_package.MyModel")
    package, dot, _ = name.partition(".")
    if not dot:
        raise ConfigError(key, name, "must name a module and, after a dot, a class in it")
    if not is_allowed(name, allowed):
        raise ConfigError(
            key,
            name,
            f"must begin with one of {', '.join((*ALLOWED_PREFIXES, *allowed))}",
            f"allow your own with allowed_targets=[{package}.]",
        )
    if importlib.util.find_spec(package) is None:
        raise ConfigError(
            key, name, f"there is no module {package}", "install it, or start where it lies"
        )
