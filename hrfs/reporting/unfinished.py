"""What is known of a run that has no summary: it is under way, was killed or failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.event_log import EVENTS_NAME, parse_log


def refuse_newer_log(folder: Path, key: str) -> None:
    """Make sure that no newer hrfs is at work in ``folder``, by the first line of its event log.

    Args:
        key: what the user calls the folder.

    Raises:
        ConfigError: one is, or was.
    """
    log = folder / "trials" / EVENTS_NAME
    if not log.is_file():
        return
    with log.open("rb") as stream:
        header = stream.readline()
    if header.endswith(b"\n"):  # else the run has only just begun
        try:
            parse_log(header, str(log), str(log.parent))
        except ConfigError as error:
            raise ConfigError(key, log, error.rule, error.remedy) from error


def read_config(path: Path, key: str) -> Any:
    """What the file ``path`` holds, an empty configuration if it is not there yet.

    Args:
        key: what the user calls the file.

    Raises:
        ConfigError: it cannot be read, or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise ConfigError(key, path, f"cannot be read: {why}") from error
