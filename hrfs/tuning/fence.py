"""One driver's processes at a time: those of an earlier one are waited for, and let in no more.

A driver that was killed while its Ray lives on elsewhere may leave processes that still train
and write, on any machine that sees the folder. Each holds a shared lock on one file for as long
as it lives. The next driver takes that lock alone, so it begins when they are gone, and writes
its own name into the file; a process of the earlier one that comes late finds another's name.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hrfs.experiment.errors import ConfigError

FENCE_FILE = ".processes"
"""In the run's folder: holds the name of its driver, and is locked by that one's processes."""
FENCE_KEY = "fence"
WAIT_S = 60.0

log = logging.getLogger("hrfs")
_held: list[IO[bytes]] = []


@dataclass(frozen=True, slots=True)
class Fence:
    """What a driver's processes are let in with."""

    file: str
    driver: str


class Outdated(RuntimeError):  # noqa: N818 - a state of affairs
    """This process belongs to a driver whose run another one has taken over."""


def fence_off(folder: Path, wait_s: float = WAIT_S) -> Fence:
    """Wait until no process of an earlier driver is left in ``folder``, and let no more in.

    Raises:
        ConfigError: they do not end within ``wait_s``, or the folder cannot be written.
    """
    path, driver = folder / FENCE_FILE, uuid.uuid4().hex
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            _lock_alone(stream, folder, wait_s)
            stream.truncate(0)
            stream.write(driver.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise ConfigError(
            "hydra.run.dir", folder, f"cannot be written ({error.strerror})"
        ) from error
    return Fence(str(path), driver)


def _lock_alone(stream: IO[bytes], folder: Path, wait_s: float) -> None:
    deadline_s, told = time.monotonic() + wait_s, False
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not told:
                log.warning("waiting for processes of an earlier driver that use %s", folder)
            told = True
        except OSError as error:  # a network share without locks
            said = "%s cannot be locked (%s): make sure that no process of an earlier run goes on"
            log.warning(said, folder, error.strerror)
            return
        if time.monotonic() >= deadline_s:
            rule = f"is still used by processes of an earlier driver after {wait_s:g} s"
            raise ConfigError("hydra.run.dir", folder, rule, "end them, on all of its machines")
        time.sleep(0.1)


def enter(fence: dict[str, Any]) -> None:
    """Hold the fence from now until this process ends; ``fence`` is its driver's, as plain values.

    Raises:
        Outdated: another driver has taken over.
    """
    stream = Path(fence["file"]).open("rb")  # noqa: SIM115 - stays open, and locked, for life
    try:
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError as error:  # no locks here: the name must do
        log.debug("%s cannot be locked: %s", fence["file"], error)
    name = stream.read().decode(errors="replace")
    if name != fence["driver"]:
        stream.close()
        raise Outdated(f"{fence['file']} names another driver than that of this process")
    _held.append(stream)
