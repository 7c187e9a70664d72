"""The arguments of ``python -m hrfs.compare``: folders, and key=value in Hydra's manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrfs.cli.folder_arguments import read_arguments

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
    """Read the arguments.

    Raises:
        ConfigError: an unknown option or key, a value that cannot be, or no folder.
    """
    typed = read_arguments(arguments, KEYS)
    return Request(
        folders=typed.folders,
        by=typed.values.get("by", BY),
        baseline=typed.values.get("baseline"),
        out=typed.out(),
        format=typed.shape(FORMATS),
    )
