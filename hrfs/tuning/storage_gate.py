"""Workers get work only where their node sees the storage, also those that join later."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from ray.tune.experiment import Trial

from hrfs.experiment.errors import StorageError
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.storage_view import LOOK_WITHIN_S, Look, begin_look

log = logging.getLogger("hrfs")

AGAIN_S = 30.0
"""Seconds after which a node that did not see the storage is asked again: mounts are mended."""


def local_storage(trials: Mapping[int, Trial]) -> Path | None:
    """Folder of the experiment that the trials are of; None if that is no path of this machine."""
    for trial in trials.values():
        if trial.storage.storage_filesystem.type_name == "local":
            return Path(trial.storage.experiment_fs_path)
    return None


class StorageGate:
    """Asks each new node once, without waiting for it.

    Args:
        folder: the output folder.
        trusted: nodes that have been asked already.
    """

    def __init__(self, folder: Path, trusted: Iterable[str] = ()) -> None:
        self._folder = folder
        self._trusted = set(trusted)
        self._looks: dict[str, tuple[Look, float]] = {}
        self._again_s: dict[str, float] = {}
        self._told: set[str] = set()

    def doubt(self, node_id: str) -> None:
        """Something could not be written there: it is to be asked again."""
        self._trusted.discard(node_id)

    def lets_in(self, bundle: Bundle, now_s: float) -> bool:
        """Whether a worker may get work; if not, call again later.

        Raises:
            StorageError: the driver itself cannot write any more.
        """
        node_id = bundle.node_id
        if node_id in self._trusted:
            return True
        if node_id not in self._looks:
            if now_s >= self._again_s.get(node_id, now_s):
                self._looks[node_id] = (self._begin(node_id), now_s)
            return False
        look, begun_s = self._looks[node_id]
        if not look.ready() and now_s - begun_s < LOOK_WITHIN_S:
            return False
        del self._looks[node_id]
        fault = look.fault()
        if fault:
            self._tell(bundle, fault)
            self._again_s[node_id] = now_s + AGAIN_S
            return False
        self._trusted.add(node_id)
        self._told.discard(node_id)
        return True

    def _begin(self, node_id: str) -> Look:
        try:
            return begin_look(self._folder, node_id)
        except OSError as error:
            raise StorageError.of(self._folder, error) from error

    def _tell(self, bundle: Bundle, fault: str) -> None:
        if bundle.node_id not in self._told:
            self._told.add(bundle.node_id)
            told = "node %s gets no work, for it does not share %s: %s"
            log.warning(told, bundle.info.node, self._folder, fault)
