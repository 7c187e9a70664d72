"""Arguments of the commands that read runs: folders, and key=value in Hydra's manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrfs.cli.names import require_one_of, suggestion
from hrfs.experiment.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands on the command line."""

    folders: tuple[Path, ...]
    values: dict[str, str]

    def shape(self, formats: Sequence[str]) -> str:
        """How figures are printed: one of ``formats``, the first if nothing is said.

        Raises:
            ConfigError: it is none of them.
        """
        chosen = self.values.get("format", formats[0])
        require_one_of("format", chosen, formats)
        return chosen

    def out(self) -> Path | None:
        """The folder to write into, there already or not; None if none is given.

        Raises:
            ConfigError: something else is there.
        """
        text = self.values.get("out")
        if text is None:
            return None
        out = Path(text)
        if not text or (out.exists() and not out.is_dir()):
            raise ConfigError("out", text, "is no folder", "choose a folder, there already or not")
        return out


def read_arguments(arguments: Sequence[str], keys: Sequence[str]) -> Typed:
    """Sort the arguments; of two equal keys the last counts, as in Hydra.

    A folder may have a ``=`` in its name, as those of sweeps often have.

    Raises:
        ConfigError: an unknown option or key, or no folder.
    """
    folders: list[Path] = []
    values: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if argument.startswith("-"):
            raise ConfigError("argument", argument, "there is no such option", "try --help")
        if key in keys and equals:
            values[key] = value
        elif equals and not Path(argument).exists():
            raise ConfigError(key, value, "there is no such key or folder", suggestion(key, keys))
        else:
            folders.append(Path(argument))
    if not folders:
        raise ConfigError("folder", "???", "must be given", "add the folder of a sweep")
    return Typed(tuple(folders), values)
