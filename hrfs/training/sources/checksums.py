"""Checksums of dataset files: the published ones, none, or a list of the user's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hrfs.experiment.errors import ConfigError

STANDARD = "standard"
NONE = "none"


@dataclass(frozen=True, slots=True)
class Checksums:
    """MD5 of files by name. A name that is not listed is not checked.

    MD5 because the publishers of these datasets give no other; it guards against damage, not
    against malice, which is why files are read by readers that cannot run code.
    """

    choice: str = STANDARD
    """``standard``, ``none``, or the path of a file as ``md5sum`` prints it."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The user's own list, if there is one."""
        return () if self.choice in (STANDARD, NONE) else (Path(self.choice),)

    def expected(self, standard: Mapping[str, str]) -> Mapping[str, str]:
        """The table that holds, given the published one.

        Raises:
            ConfigError: the user's list cannot be read.
        """
        if self.choice == STANDARD:
            return standard
        if self.choice == NONE:
            return {}
        return _read_list(Path(self.choice))


def _read_list(file: Path) -> dict[str, str]:
    key, rule = "dataset.checksums", "must be standard, none, or a file as md5sum prints it"
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(key, file, rule, f"it cannot be read ({error})") from error
    table = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        digest, _, name = line.partition(" ")
        name = Path(name.strip().removeprefix("*")).name
        if len(digest) != 32 or not name:
            raise ConfigError(key, file, rule, f"line {number} is {line!r}")
        table[name] = digest.lower()
    return table


def verify(file: Path, name: str, data: bytes, table: Mapping[str, str], remedy: str) -> None:
    """Compare the MD5 of ``data`` with the one that ``table`` has for ``name``.

    Raises:
        ConfigError: they differ; names the file and both checksums.
    """
    expected = table.get(name)
    if expected is None:
        return
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != expected:
        raise ConfigError(
            "dataset.root", file, f"wrong checksum: expected MD5 {expected}, found {found}", remedy
        )
