"""What workers tell of themselves, in ``environment.json`` under ``workers``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.experiment.observer import Observer

WORKERS = "workers"


class WorkerFacts(Observer):
    """Adds each worker's facts, by its name; of a worker that tells anew the last word stays.

    A write that fails is a warning, and is made up for at the next word of any worker.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        """``path``: the file that :func:`hrfs.reporting.environment.write_environment` wrote."""
        self._path = path
        self._warn = warn
        self._told: dict[str, Mapping[str, Any]] = {}

    def on_worker_facts(self, time_s: float, worker: str, facts: Mapping[str, Any]) -> None:
        self._told[worker] = facts
        try:
            found = _read(self._path)
            found[WORKERS] = {**found.get(WORKERS, {}), **self._told}
            write_atomically(self._path, json.dumps(found, indent=2, default=str) + "\n")
        except (OSError, ValueError, TypeError) as error:
            self._warn(f"{self._path}: what {worker} told cannot be written: {error}")


def read_worker_facts(path: Path) -> dict[str, dict[str, Any]]:
    """What the workers of a run told, by their names; empty if none did, or without the file.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        workers = _read(path).get(WORKERS, {})
        return {str(name): dict(facts) for name, facts in workers.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        remedy = "delete it: what was chosen for each worker is then chosen anew"
        raise ConfigError("resume", path, f"cannot be read ({error})", remedy) from error


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("it holds no JSON object")
    return found
