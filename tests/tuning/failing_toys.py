"""Toys that fail in each way that Python can tell; imported by workers' processes."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toys import Counter

from hrfs.experiment.checkpoint import CheckpointError
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.slices import SliceRequest


class PickyError(Exception):
    """Cannot be unpickled: its constructor wants more than the message."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"{left} {right}")


FAULTS = (
    lambda: ValueError("shapes differ"),
    lambda: MemoryError("no room"),
    lambda: PickyError("hard", "to carry"),
    lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    lambda: ConfigError("dataset.root", "x", "is missing"),
    lambda: CheckpointError(Path("x"), "a", "b"),
)
KINDS = (
    "exception",
    "out of host memory",
    "exception",
    "storage",
    "configuration",
    "checkpoint damaged",
)
"""What each fault counts as."""


class Failing(Counter):
    """Each trial fails once, in its slice after iteration 10, with the fault of its number."""

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """Train on, but for the fault."""
        marker = Path(self.config["markers"]) / str(request.trial)
        if request.from_iteration >= 10 and not marker.exists():
            marker.write_text("done")
            raise FAULTS[request.trial]()
        return super().train_slice(request)
