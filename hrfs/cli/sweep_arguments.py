"""The arguments of ``python -m hrfs.summary``: folders, and key=value in Hydra's manner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrfs.cli.folder_arguments import read_arguments
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
    """Read the arguments.

    Raises:
        ConfigError: an unknown option or key, a value that cannot be, or no folder.
    """
    typed = read_arguments(arguments, KEYS)
    return Request(
        folders=typed.folders,
        out=typed.out(),
        targets=_targets(typed.values.get("targets", "")),
        format=typed.shape(FORMATS),
    )


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
