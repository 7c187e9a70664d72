"""The output folder of one run: claimed once, so that two runs never write into each other."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from hrfs.cli.errors import unwritable
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import create_atomically, write_atomically

CONFIG = "config.yaml"
"""The resolved configuration; its lock says that the run is under way."""


def claim(folder: Path, config_yaml: str, overrides: Sequence[str]) -> None:
    """Write ``config.yaml`` (resolved) and ``overrides.yaml`` into a ``folder`` without a run.

    Raises:
        ConfigError: the folder already holds a run, or cannot be written.
    """
    try:
        create_atomically(folder / CONFIG, config_yaml)  # of two runs only one gets it
        write_atomically(folder / "overrides.yaml", yaml.safe_dump(list(overrides)))
    except FileExistsError as error:
        raise ConfigError(
            "hydra.run.dir", folder, "already holds the results of a run", "choose another folder"
        ) from error
    except OSError as error:
        raise unwritable(error, str(folder)) from error


@contextmanager
def hold(folder: Path, key: str = "hydra.run.dir") -> Iterator[None]:
    """Keep every other run out of a claimed ``folder``, until the process ends, however it does.

    Raises:
        ConfigError: a run is under way in it, or it cannot be written; ``key`` named the folder.
    """
    try:
        stream = (folder / CONFIG).open("r+")
    except OSError as error:
        raise ConfigError(key, folder, f"cannot be written ({error.strerror})") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            rule = "a run is under way in it"
            raise ConfigError(key, folder, rule, "wait for its end, or end it") from None
        except OSError as error:  # a network share without locks
            told = "%s cannot be locked (%s): make sure that no other run goes on in it"
            logging.getLogger("hrfs").warning(told, folder, error.strerror)
        yield
