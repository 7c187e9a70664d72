"""The scheduler's state on the experiment's storage, written after every event.

Tune's own snapshots lag behind by seconds, and would refer to checkpoints that are gone.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

from ray.tune.experiment import Trial

from hrfs.core.events import WorkerLeft
from hrfs.core.state import WorkerPhase
from hrfs.experiment.files import write_atomically
from hrfs.tuning.context import Memory

STATE_NAME = "hrfs-state.pkl"
"""File in the experiment's folder. It is as trusted as Tune's own pickles beside it."""


def write_memory(memory: Memory, trials: Mapping[int, Trial]) -> None:
    """Make ``memory`` what a restore goes on from.

    Raises:
        OSError: the storage cannot be written.
    """
    if not trials:
        return
    trial = next(iter(trials.values()))
    data = pickle.dumps(memory)
    filesystem, path = trial.storage.storage_filesystem, _path(trial)
    if filesystem.type_name == "local":
        write_atomically(Path(path), data)
        return
    with filesystem.open_output_stream(f"{path}.new") as stream:
        stream.write(data)
    filesystem.move(f"{path}.new", path)


def read_memory(trial: Trial) -> Memory:
    """The state beside a restored trial.

    Raises:
        OSError: there is none.
    """
    with trial.storage.storage_filesystem.open_input_stream(_path(trial)) as stream:
        memory: Memory = pickle.loads(stream.readall())
    return memory


def forget_workers(memory: Memory) -> None:
    """No worker of an earlier driver is there, and no slice of it is under way."""
    core = memory.core
    for worker in list(core.state.workers.values()):
        if worker.phase is not WorkerPhase.GONE:
            core.handle(WorkerLeft(memory.elapsed_s, worker.name, "the driver restarted"))


def _path(trial: Trial) -> str:
    return f"{trial.storage.experiment_fs_path}/{STATE_NAME}"
