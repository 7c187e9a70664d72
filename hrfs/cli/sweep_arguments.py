"""The arguments of ``python -m hrfs.summary``: folders, and key=value in Hydra's manner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrfs.cli.names import require_one_of, suggestion
from hrfs.experiment.errors import ConfigError

FORMATS = ("table", "json")
KEYS = ("out", "targets", "format")


@dataclass(frozen=True, slots=True)
class Request:
    """Which runs are to be summed up, and where that goes."""

    folders: tuple[Path, ...]
    out: Path | None
    targets: tuple[float, ...]
    """Scores to which the time is asked for, each once."""
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
        out=_out(values.get("out")),
        targets=_targets(values.get("targets", "")),
        format=shape,
    )


def _out(text: str | None) -> Path | None:
    if text is None:
        return None
    out = Path(text)
    if not text or (out.exists() and not out.is_dir()):
        raise ConfigError("out", text, "is no folder", "choose a folder, there already or not")
    return out


def _targets(text: str) -> tuple[float, ...]:
    return tuple(dict.fromkeys(_score(part) for part in text.split(",")) if text else ())


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ConfigError("targets", text, "must be a number", "e.g. targets=0.5,0.8")
    return score
