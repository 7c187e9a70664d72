"""The configuration of a run that is resumed: what its folder says, hardly anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hrfs.cli.build import to_plain
from hrfs.cli.errors import explain
from hrfs.cli.folder import CONFIG
from hrfs.cli.schema import HrfsConfig
from hrfs.experiment.errors import ConfigError

MAY_CHANGE = (
    "cluster.address",
    "cluster.answer_within_s",
    "cluster.wait_s",
    "cluster.hung_after",
    "cluster.hung_least_s",
    "cluster.hung_unknown_s",
    "cluster.pin_cores",
    "cluster.dashboard",
    "report.every_s",
    "report.console",
)
"""Keys that decide nothing about the trials: where the cluster is now, what the console shows."""
_REMEDY = f"a resumed run keeps its settings; it may change {', '.join(MAY_CHANGE)}"


def read_config(folder: Path, others: Sequence[str]) -> dict[str, Any]:
    """The resolved configuration in ``folder``, with what ``others`` (key=value) may change.

    Raises:
        ConfigError: ``config.yaml`` is not that of a run or was changed since, or ``others`` has
            an option or a key that must stay.
    """
    stored = _read_yaml(folder / CONFIG)
    _refuse_changed(folder, stored)
    for typed in others:
        _change(stored, typed)
    try:
        typed_config = OmegaConf.merge(OmegaConf.structured(HrfsConfig), stored)
        assert isinstance(typed_config, DictConfig)
        return to_plain(typed_config)
    except OmegaConfBaseException as error:
        raise explain(error, others, ()) or error from error


def read_choices(folder: Path) -> Mapping[str, Any]:
    """Which option of each group was chosen, as Hydra noted it; empty if it did not."""
    noted = folder / ".hydra" / "hydra.yaml"
    if not noted.is_file():
        return {}
    found: Any = _read_yaml(noted)
    for name in ("hydra", "runtime", "choices"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError("resume", path, f"cannot be read ({why})") from error
    if not isinstance(content, dict):
        raise ConfigError("resume", path, "is not the configuration of a run")
    return {str(key): value for key, value in content.items()}


def _refuse_changed(folder: Path, stored: Mapping[str, Any]) -> None:
    """Compare with what Hydra kept of the configuration when the run began, if it did."""
    kept = folder / ".hydra" / "config.yaml"
    if not kept.is_file():
        return
    first = dict(_leaves(to_plain(DictConfig(_read_yaml(kept)))))
    now = dict(_leaves(stored))
    for key in sorted({*first, *now}):
        if first.get(key) != now.get(key):
            rule = f"was {first.get(key)} when the run began"
            raise ConfigError(key, now.get(key), rule, f"put it back in {folder / CONFIG}")


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def _change(stored: dict[str, Any], typed: str) -> None:
    key, equals, text = typed.partition("=")
    key = key.lstrip("+~")
    if not equals:
        rule = "cannot be given beside resume"
        raise ConfigError("argument", typed, rule, "resume=FOLDER takes key=value alone")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError("argument", typed, "is no key=value") from error
    *groups, name = key.split(".")
    place: Any = stored
    for group in groups:
        place = place.get(group, {}) if isinstance(place, dict) else {}
    before = place.get(name) if isinstance(place, dict) else None
    if key not in MAY_CHANGE and before != value:
        raise ConfigError(key, text, f"was {before} when the run began", _REMEDY)
    if key in MAY_CHANGE:
        stored.setdefault(groups[0], {})[name] = value
