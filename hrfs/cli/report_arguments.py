"""The arguments of ``python -m hrfs.report``: folders, and key=value in Hydra's manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrfs.cli.folder_arguments import read_arguments
from hrfs.cli.names import require_one_of
from hrfs.experiment.errors import ConfigError

KEYS = ("out", "figures")
ANSWERS = ("true", "false")


@dataclass(frozen=True, slots=True)
class Request:
    """Which runs are to be reported on, and where that goes."""

    folders: tuple[Path, ...]
    out: Path
    figures: bool
    """Whether PNG and SVG are drawn as well."""


def parse(arguments: Sequence[str]) -> Request:
    """Read the arguments.

    Raises:
        ConfigError: an unknown option or key, a value that cannot be, no folder, or several and
            no ``out``.
    """
    typed = read_arguments(arguments, KEYS)
    out = typed.out()
    if out is None and len(typed.folders) > 1:
        rule = "must be given with several folders"
        raise ConfigError("out", "???", rule, "add out=DIR, where report.html is to go")
    answer = typed.values.get("figures", "true")
    require_one_of("figures", answer, ANSWERS)
    return Request(typed.folders, out or typed.folders[0], answer == "true")
