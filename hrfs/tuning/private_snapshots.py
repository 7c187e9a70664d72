"""A run outlives Tune's own snapshots. Part of :mod:`hrfs.tuning.privates`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from hrfs.tuning.storage_chatter import GOES_ON

log = logging.getLogger("hrfs")

AGAIN_S = 10.0
"""Tune would try again in every turn of its loop."""


class PatientSnapshots:
    """Stands before ``sync_up_experiment_state``, at whose OSError Tune ends the run.

    The snapshot is for ``Tuner.restore``; our event log does not need it. That it cannot be
    written (the temporary files' disk is full) is told once.
    """

    def __init__(
        self, sync: Callable[..., None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sync = sync
        self._clock = clock
        self._due_s: float | None = None
        self._told = False

    def __call__(
        self, save_fn: Callable[[], None], force: bool = False, wait: bool = False
    ) -> None:
        """Write a snapshot by ``save_fn`` if one is due; ``force``: now."""
        if self._due_s is not None and self._clock() < self._due_s and not force:
            return
        try:
            self._sync(save_fn=save_fn, force=force, wait=wait)
        except OSError as error:
            self._due_s = self._clock() + AGAIN_S
            self._tell(error)
        else:
            self._due_s = None

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            where = f"{error.filename}: " if error.filename else ""
            log.warning(GOES_ON, f"{where}{error.strerror or error}")


def outlive_snapshots(controller: Any) -> None:
    """Have ``controller`` go on where a snapshot cannot be written.

    Uses ``_checkpoint_manager``, which is no part of the snapshot itself, as an attribute of the
    controller would be.
    """
    manager = controller._checkpoint_manager
    manager.sync_up_experiment_state = PatientSnapshots(manager.sync_up_experiment_state)
