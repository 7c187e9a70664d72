"""A trainable on some of whose nodes the disk is full; imported by workers' processes."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toys import Counter

from hrfs.experiment.slices import SliceRequest


class FullDisk(Counter):
    """Cannot save on the nodes in ``config["full_on"]``; all else is a Counter's."""

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """Remember where, and do the slice."""
        self.node = request.worker.node
        return super().train_slice(request)

    def save_state(self, folder: Path) -> None:
        """One JSON file, of which a full disk takes a part."""
        if self.node in self.config["full_on"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "state.json"))
        super().save_state(folder)
