"""The event log on the experiment's storage, which goes on with every event.

Tune's own snapshots lag behind by seconds, and would refer to checkpoints that are gone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial

from hrfs.experiment.errors import StorageError
from hrfs.experiment.event_log import (
    EVENTS_NAME,
    Entry,
    Log,
    encode_entry,
    encode_header,
    parse_log,
)
from hrfs.experiment.files import append

log = logging.getLogger("hrfs")


class Journal:
    """Keeps what is to be written until :meth:`write`."""

    def __init__(self, settings: Mapping[str, Any], size: int = 0) -> None:
        """``size``: bytes of the log that is gone on with; 0 begins one."""
        self._settings = settings
        self._size = size
        self._pending: list[Entry] = []
        self._remote: bytes | None = None
        """All that is written, on a storage to which nothing can be appended."""

    def note(self, entry: Entry) -> None:
        """To be called before the core is told; facts may be added until :meth:`write`."""
        self._pending.append(entry)

    def write(self, trials: Mapping[int, Trial]) -> None:
        """Make what was noted part of the log, for good.

        Raises:
            StorageError: the storage cannot be written; what it has is whole, and all that was
                noted is kept.
        """
        if not trials or not self._pending:
            return
        trial = next(iter(trials.values()))
        root = str(trial.storage.experiment_fs_path)
        data = b"".join(encode_entry(entry, root) for entry in self._pending)
        if not self._size:
            data = encode_header(self._settings) + data
        path = Path(root) / EVENTS_NAME
        try:
            if trial.storage.storage_filesystem.type_name == "local":
                self._size = append(path, self._size, data, durably=True)
            else:
                self._write_remote(trial, data)
        except OSError as error:
            raise StorageError.of(path, error) from error
        self._pending.clear()

    def _write_remote(self, trial: Trial, data: bytes) -> None:
        filesystem, path = trial.storage.storage_filesystem, _path(trial)
        before = self._remote
        if before is None:
            before = _read(trial)[: self._size] if self._size else b""
        with filesystem.open_output_stream(f"{path}.new") as stream:
            stream.write(before + data)
        filesystem.move(f"{path}.new", path)
        self._remote = before + data
        self._size = len(self._remote)


def read_journal(trial: Trial) -> Log:
    """The log beside a restored trial.

    Raises:
        OSError: there is none.
        ConfigError: it cannot be read.
    """
    found = parse_log(_read(trial), _path(trial), str(trial.storage.experiment_fs_path))
    if found.torn:
        log.warning("%s: left out %d bytes of a torn line at its end", _path(trial), found.torn)
    return found


def _read(trial: Trial) -> bytes:
    with trial.storage.storage_filesystem.open_input_stream(_path(trial)) as stream:
        return bytes(stream.readall())


def _path(trial: Trial) -> str:
    return f"{trial.storage.experiment_fs_path}/{EVENTS_NAME}"
