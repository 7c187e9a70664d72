"""A run that the disk has stopped: what came of it so far, and how it goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrfs.cli.interruption import how_to_go_on
from hrfs.experiment.errors import StorageError
from hrfs.experiment.launch import Outcome, PopulationOutcome
from hrfs.experiment.plan import Plan

if TYPE_CHECKING:
    from hrfs.experiment.observer import RunObserver


@dataclass(frozen=True)
class Stopped(Outcome):
    """How a run ended that could not be kept on the disk; ``reason`` names the file."""


def stopped_by(fault: StorageError, plan: Plan) -> Stopped:
    """No winner is named or tested; that is left to the run that goes on."""
    populations = [PopulationOutcome(seed, None, None, {}, str(fault)) for seed in plan.seeds]
    return Stopped("gave up", None, None, {}, str(fault), tuple(populations))


def unless_whole(outcome: Outcome, observers: Sequence[RunObserver]) -> Outcome:
    """``outcome``, but for a finished run whose records are not all written."""
    from hrfs.reporting.unwritten import unwritten

    fault = unwritten(observers)
    return _not_finished(outcome, fault) if fault else outcome


def unless_summed_up(outcome: Outcome, path: Path, summary: Mapping[str, Any]) -> Outcome:
    """``outcome``, but for a finished run whose ``summary`` is not in its file ``path``."""
    from hrfs.reporting.unwritten import says

    return outcome if says(path, summary) else _not_finished(outcome, f"{path} cannot be written")


def _not_finished(outcome: Outcome, fault: str) -> Outcome:
    if outcome.status != "finished":
        return outcome
    known = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    return Stopped(**{**known, "status": "gave up", "reason": fault})


@contextmanager
def printing() -> Iterator[None]:
    """A screen that takes nothing more (a file on a full disk) is no reason to fail at the end."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # or Python complains when it flushes at exit
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            told = f"standard output cannot be written: {error.strerror or error}"
            print(f"hrfs: {told}", file=sys.stderr)


def tell(outcome: Outcome, policy: str, out_dir: Path) -> None:
    """One line on standard error, if the disk is why a run is not finished."""
    if isinstance(outcome, Stopped):
        again = how_to_go_on(out_dir, policy)
        print(f"hrfs: {outcome.reason}; free space, then {again}", file=sys.stderr)
