"""The arguments of ``python -m hrfs.compare``: folders, and key=value in Hydra's manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrfs.cli.names import require_one_of, suggestion
from hrfs.experiment.errors import ConfigError

FORMATS = ("table", "json", "csv", "markdown")
KEYS = ("by", "baseline", "out", "format")
BY = "scheduler.policy"
"""The key in which groups differ unless another is given."""


@dataclass(frozen=True, slots=True)
class Request:
    """Which runs are to be compared, how, and where that goes."""

    folders: tuple[Path, ...]
    by: str
    baseline: str | None
    """None leaves it to what there is."""
    out: Path | None
    format: str


def parse(arguments: Sequence[str]) -> Request:
    """Read the arguments; of two equal keys the last counts, as in Hydra.

    A folder may have a ``=`` in its name, as those of sweeps often have.

    Raises:
        ConfigError: an unknown option or key, a value that cannot be, or no folder.
    """
    folders: list[Path] = []
    values: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if argument.startswith("-"):
            raise ConfigError("argument", argument, "there is no such option", "try --help")
        if key in KEYS and equals:
            values[key] = value
        elif equals and not Path(argument).exists():
            raise ConfigError(key, value, "there is no such key or folder", suggestion(key, KEYS))
        else:
            folders.append(Path(argument))
    if not folders:
        raise ConfigError("folder", "???", "must be given", "add the folder of a sweep")
    shape = values.get("format", FORMATS[0])
    require_one_of("format", shape, FORMATS)
    return Request(
        folders=tuple(folders),
        by=values.get("by", BY),
        baseline=values.get("baseline"),
        out=_out(values.get("out")),
        format=shape,
    )


def _out(text: str | None) -> Path | None:
    if text is None:
        return None
    out = Path(text)
    if not text or (out.exists() and not out.is_dir()):
        raise ConfigError("out", text, "is no folder", "choose a folder, there already or not")
    return out
