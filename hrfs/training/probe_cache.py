"""What a machine's workers chose, kept for the next run: one small file for each set of conditions.

The folder is ``hrfs/probe`` in the user's cache folder, by the XDG Base Directory rules:
``$XDG_CACHE_HOME`` if that is an absolute path, else ``~/.cache``. Its files may be deleted at any
time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.training.settings import TrainerSettings

FORMAT = 1


class DamagedError(ValueError):
    """A file of the cache is not what was written there."""


class ProbeCache:
    """The file of one set of conditions (plain values): host, device, model, batch, versions."""

    def __init__(self, conditions: Mapping[str, Any]) -> None:
        self._conditions = json.loads(json.dumps(conditions, default=str))
        text = json.dumps(self._conditions, sort_keys=True)
        self._digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.file = cache_folder() / f"{self._digest}.json"

    def lock(self) -> BaseFileLock:
        """For one process of this machine at a time: others would spoil its figures."""
        user = os.getuid() if hasattr(os, "getuid") else 0
        return FileLock(Path(tempfile.gettempdir()) / f"hrfs-probe-{user}-{self._digest}.lock")

    def read(self, asked: TrainerSettings) -> tuple[TrainerSettings, list[dict[str, Any]]] | None:
        """What was chosen and tried under these conditions; None if nothing was.

        Raises:
            DamagedError: the file cannot be read, or holds something else.
        """
        try:
            kept = json.loads(self.file.read_bytes())
            if kept["format"] != FORMAT or kept["conditions"] != self._conditions:
                raise ValueError("its format or its conditions are others")
            return asked.decided(kept["trainer"]), list(kept["tried"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
            raise DamagedError(
                f"{self.file} is damaged: {error or type(error).__name__}"
            ) from error

    def write(self, chosen: TrainerSettings, tried: list[dict[str, Any]]) -> None:
        """Keep it, whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        kept = {
            "format": FORMAT,
            "conditions": self._conditions,
            "trainer": chosen.choice,
            "tried": tried,
        }
        write_atomically(self.file, json.dumps(kept, indent=2) + "\n")


def cache_folder() -> Path:
    """Where the files are; it need not exist."""
    told = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (told if told.is_absolute() else Path.home() / ".cache") / "hrfs" / "probe"
