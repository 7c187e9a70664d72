"""What is said to a user who interrupts a run, wherever it is at that moment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hrfs.cli.folder import CONFIG
from hrfs.experiment.interrupts import current
from hrfs.experiment.launch import RAY_PBT


def how_to_go_on(folder: Path, policy: str) -> str:
    """The command that goes on with the run in ``folder``."""
    return "run it anew" if policy == RAY_PBT else f"python -m hrfs resume={folder} goes on"


@contextmanager
def resumable(folder: Path, policy: str) -> Iterator[None]:
    """Say how the run in ``folder`` goes on, if it is interrupted before it can end by itself.

    Nothing is said of a folder that the run has not claimed yet.

    Raises:
        KeyboardInterrupt: it was.
    """
    told = how_to_go_on(folder, policy)
    try:
        with current().advising(told):
            yield
    except KeyboardInterrupt:
        if (folder / CONFIG).is_file():
            print(f"hrfs: interrupted; {told}", file=sys.stderr)
        raise
