"""At most two checkpoints per trial: the one it goes on from, and the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyarrow.fs import FileSelector, FileType
from ray.tune.experiment import Trial

from hrfs.tuning.context import Context
from hrfs.tuning.privates import checkpoint_path, keep_only, number_after


class Retention:
    """Deletes what nothing refers to any more.

    Tune's ``num_to_keep`` will not do: it deletes by its own, older snapshots, so that a
    restored trial finds its checkpoint gone. ``kept`` are the folders that an earlier driver
    kept, by trial, the newest last; None if there was none.
    """

    def __init__(self, kept: Mapping[int, Sequence[str]] | None = None) -> None:
        self._kept = {number: list(paths) for number, paths in (kept or {}).items()}
        self._tidies = kept is not None
        self._tidied: set[int] = set()

    def tidy(self, number: int, trial: Trial) -> None:
        """Take over an earlier driver's folder: what it had not finished or not dropped goes."""
        if not self._tidies or number in self._tidied:
            return
        self._tidied.add(number)
        filesystem, folder = trial.storage.storage_filesystem, trial.storage.trial_fs_path
        if filesystem.get_file_info(folder).type is not FileType.Directory:
            return
        found = [info.base_name for info in filesystem.get_file_info(FileSelector(folder))]
        checkpoints = [name for name in found if name.startswith("checkpoint_")]
        number_after(trial, checkpoints)
        kept = self._kept.get(number, [])
        for path in (f"{folder}/{name}" for name in checkpoints):
            if path not in kept:
                filesystem.delete_dir(path)

    def apply(self, context: Context) -> None:
        """Let go of what no trial may go on from; call after the state was written.

        A trial's newest folder stays, though nothing may refer to it: a slice under way has
        perhaps been saved there, of which the scheduling core will be told in the next turn.
        """
        for number, known in context.core.state.trials.items():
            needed = context.memory.exploits.checkpoints_of(known)
            before = self._kept.get(number, [])
            if needed == before:
                continue
            self._kept[number] = needed
            trial = context.trials[number]
            newest = checkpoint_path(trial)
            kept = needed if newest is None else [*needed, newest]
            keep_only(trial, kept, [path for path in before if path not in needed])
