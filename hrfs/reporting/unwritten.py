"""Which of a run's files do not say yet what they must: a finished run has them all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hrfs.experiment.observer import RunObserver
from hrfs.reporting.slices_csv import SliceCsv
from hrfs.reporting.trials_csv import TrialsCsv


def unwritten(observers: Sequence[RunObserver]) -> str:
    """Which file of records could not be written, and why; empty if all are whole.

    TensorBoard's are not among them: nothing is read back from them.
    """
    for observer in observers:
        if isinstance(observer, SliceCsv | TrialsCsv) and observer.fault:
            return observer.fault
    return ""


def says(path: Path, summary: Mapping[str, Any]) -> bool:
    """Whether the file ``path`` holds just this summary."""
    try:
        found: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return found == dict(summary)
