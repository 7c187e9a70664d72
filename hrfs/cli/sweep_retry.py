"""A job of a sweep that is tried again: what its earlier attempt left is set aside, not lost.

A launcher tries again after the death of a worker, and resumes a sweep; both give the job the
folder that it had. A folder in which a run is under way, or has come to its end, is left alone.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from hrfs.experiment.errors import ConfigError

LOCK = ".running"
"""Locked for as long as the job runs; its lock dies with the process, however that ends."""
ATTEMPT = "attempt_"
_LEFT_BY_A_RUN = (
    "config.yaml",
    "overrides.yaml",
    "environment.json",
    "slices.csv",
    "trials.csv",
    "summary.json",
    "failure.json",
    "tensorboard",
    "trials",
    "winner*.ckpt",
    "winner*.safetensors",
)
_ENDED = ("finished", "gave up")


@contextmanager
def only_job_in(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for one job; what an earlier attempt left is set aside.

    Raises:
        ConfigError: another job is running in it.
    """
    with (folder / LOCK).open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            rule = "another job is running in it"
            raise ConfigError("hydra.sweep.dir", folder, rule, "choose another folder") from None
        set_aside(folder)
        yield


def set_aside(folder: Path) -> Path | None:
    """Move what a run left that did not come to its end; gives where to, None if there is none."""
    if _ended(folder / "summary.json"):
        return None
    left = [path for name in _LEFT_BY_A_RUN for path in sorted(folder.glob(name))]
    if not left:
        return None
    numbered = (folder / f"{ATTEMPT}{number}" for number in count(1))
    attempt = next(path for path in numbered if not path.exists())
    attempt.mkdir()
    for path in left:
        path.rename(attempt / path.name)
    return attempt


def _ended(summary: Path) -> bool:
    try:
        return json.loads(summary.read_bytes())["status"] in _ENDED
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return False  # killed before it wrote one, or while
