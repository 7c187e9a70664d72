"""All that we touch of Ray Tune 2.60's private parts, in one place, with a test per name.

Tune has no public way to do three things that slices need: keep one warm process per worker,
resume a paused trial on a chosen worker, and point a trial at a chosen checkpoint. Each
function here says which private names it uses and why the public way will not do.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyarrow.fs import FileType
from ray.train._internal.session import _TrainingResult
from ray.tune import Checkpoint, PlacementGroupFactory, Trainable
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.trainable.trainable import _DICT_CHECKPOINT_FILE_NAME

from hrfs.experiment.checkpoint import CheckpointError
from hrfs.tuning.private_actors import PlainActors
from hrfs.tuning.private_errors import ErrorWatch
from hrfs.tuning.private_snapshots import outlive_snapshots

CONTROLLER_NAMES = (
    "_set_trial_status",
    "_actor_cache",
    "_staged_trials",
    "_resetting_trials",
    "_pending_trials",
    "_trial_to_actor",
    "_unstage_trial_with_resources",
    "_schedule_trial_pause",
    "_actor_manager",
    "_actor_to_trial",
    "_cached_trial_decisions",
    "_checkpoint_manager",
    "_class_cache",
)
"""Attributes of TuneController that this module relies on; tests look each of them up."""


class _Sentinel:
    """Stands in ``_staged_trials`` for a worker, so that Tune caches the worker's process.

    A finished search with nothing staged makes Tune stop every process at its trial's pause.
    """

    def __init__(self, factory: PlacementGroupFactory) -> None:
        self.placement_group_factory = factory
        self.trial_id = "worker"


class Controller:
    """A TuneController as the scheduler uses it. Called from the controller's own thread."""

    def __init__(self, controller: Any) -> None:
        # Schedulers get a wrapper that warns about every attribute it does not list.
        self._tune: TuneController = getattr(controller, "_tune_controller", controller)
        self._sentinels: dict[str, _Sentinel] = {}
        self._errors: ErrorWatch | None = None

    def watch_errors(self) -> None:
        """Have :meth:`error_of` know, from now on."""
        self._errors = ErrorWatch(self._tune)

    def start_plainly(self) -> None:
        """Start trials' processes without a runtime environment; before the first is."""
        self._tune._class_cache = PlainActors()

    def outlive_snapshots(self) -> None:
        """Go on without Tune's own snapshots while they cannot be written."""
        outlive_snapshots(self._tune)

    def error_of(self, trial: Trial) -> Exception | None:
        """The last error that Ray raised for ``trial``, once; None if it raised none."""
        return self._errors.take(trial.trial_id) if self._errors is not None else None

    def keep_warm(self, worker: str, factory: PlacementGroupFactory) -> None:
        """Let one idle process of ``factory`` outlive its trial, from now on.

        Uses ``_actor_cache.increase_max`` and ``_staged_trials``: ``reuse_actors`` alone keeps
        a process only if a trial of the same resources happens to be staged already.
        """
        if worker not in self._sentinels:
            self._sentinels[worker] = sentinel = _Sentinel(factory)
            self._tune._actor_cache.increase_max(factory)
            self._tune._staged_trials.add(sentinel)

    def let_cool(self, worker: str) -> None:
        """Undo :meth:`keep_warm`: the worker is gone, and an idle process of it ends."""
        sentinel = self._sentinels.pop(worker, None)
        if sentinel is not None:
            self._tune._staged_trials.discard(sentinel)
            self._tune._actor_cache.decrease_max(sentinel.placement_group_factory)

    def queue(self, trial: Trial) -> None:
        """Have a PAUSED trial started in this very step, with the resources it has now.

        Uses ``_set_trial_status``: returning it from ``choose_trial_to_run`` would start one
        trial per step, and a step may wait 100 ms.
        """
        self._tune._set_trial_status(trial, Trial.PENDING)

    def park(self, trial: Trial) -> None:
        """Turn a PENDING trial that Tune would start by itself into a PAUSED one."""
        if trial in self._tune._pending_trials:
            self._tune._set_trial_status(trial, Trial.PAUSED)
        else:  # not yet in Tune's books, which will go by the status
            trial.set_status(Trial.PAUSED)

    def withdraw(self, trial: Trial) -> None:
        """Take back a PENDING trial whose node will never start it.

        Uses ``_unstage_trial_with_resources`` and ``_schedule_trial_pause`` without a
        checkpoint: a pinned trial waits for ever for a node that is gone.
        """
        if trial in self._tune._staged_trials:
            self._tune._unstage_trial_with_resources(trial)
        if trial in self._tune._trial_to_actor:
            self._tune._schedule_trial_pause(trial, should_checkpoint=False)
        else:
            self._tune._set_trial_status(trial, Trial.PAUSED)
        self.forget_reset(trial)

    def is_at_work(self, trial: Trial) -> bool:
        """Whether a process is busy for the trial, not still to be started."""
        return trial.status == Trial.RUNNING or trial in self._tune._resetting_trials

    def abandon(self, trial: Trial) -> None:
        """Kill the process of a trial under way; the trial is PAUSED and expects nothing of it.

        Uses ``_actor_manager`` and what ties trial and process together: Tune's own way asks the
        process to stop, which one that hangs never does. Should it live on somewhere, out of
        reach, it writes no checkpoint of a number that the trial will use.
        """
        tune = self._tune
        if trial in tune._staged_trials:
            tune._unstage_trial_with_resources(trial)
        self.forget_reset(trial)
        process = tune._trial_to_actor.pop(trial, None)
        if process is not None:
            del tune._actor_to_trial[process]
            tune._actor_manager.clear_actor_task_futures(process)
            tune._actor_manager.remove_actor(process, kill=True)
        trial.set_ray_actor(None)
        trial.temporary_state.saving_to = trial.temporary_state.restoring_from = None
        tune._cached_trial_decisions.pop(trial.trial_id, None)
        tune._set_trial_status(trial, Trial.PAUSED)
        trial.storage.current_checkpoint_index += 1

    def forget_reset(self, trial: Trial) -> None:
        """Clear the mark of a ``reset()`` during which the process died.

        Tune never clears it, and would then wait for that reset for ever.
        """
        self._tune._resetting_trials.discard(trial)

    def pause(self, trial: Trial) -> None:
        """Pause a running trial whose state is saved; its process is free for others."""
        self._tune.pause_trial(trial, should_checkpoint=False)

    def stop(self, trial: Trial) -> None:
        """End a trial for good; nothing happens if it has ended."""
        self._tune.stop_trial(trial)

    def stop_experiment(self) -> None:
        """End all trials after this turn of the loop."""
        self._tune.request_stop_experiment()


def point_at(trial: Trial, checkpoint: str | None) -> None:
    """Make ``checkpoint`` what the trial is restored from next; None for a fresh start.

    Uses the trial's ``checkpoint_manager``: Tune restores the latest registered checkpoint and
    has no way to choose another. A checkpoint that is not the trial's own yet is registered,
    so that retention counts and deletes it like the others.
    """
    manager = trial.run_metadata.checkpoint_manager
    if checkpoint is None:
        manager._latest_checkpoint_result = None
    elif trial.checkpoint is None or trial.checkpoint.path != checkpoint:
        known = [r for r in manager._checkpoint_results if r.checkpoint.path == checkpoint]
        if known:
            manager._latest_checkpoint_result = known[0]
        else:
            metrics = dict(trial.last_result or {})
            made = Checkpoint(checkpoint, filesystem=trial.storage.storage_filesystem)
            manager.register_checkpoint(_TrainingResult(checkpoint=made, metrics=metrics))
    _skip_to(trial, checkpoint)
    trial.invalidate_json_state()
    trial.run_metadata.invalidate_cache()


def _skip_to(trial: Trial, checkpoint: str | None) -> None:
    """Number the next checkpoint after this one: a restored trial's index may be behind, and
    the next save would then overwrite the very checkpoint that it began from.
    """
    number = (checkpoint or "").rpartition("checkpoint_")[2]
    if number.isdigit():
        storage = trial.storage
        storage.current_checkpoint_index = max(storage.current_checkpoint_index, int(number))


def number_after(trial: Trial, names: Sequence[str]) -> None:
    """Number the trial's next checkpoint after all of these folder names.

    A trial that begins anew in an old folder would write over what is there, which other
    trials may share by hard links.
    """
    for name in names:
        _skip_to(trial, name)


def keep_only(trial: Trial, kept: Sequence[str], dropped: Sequence[str] = ()) -> None:
    """Delete the trial's checkpoints but for ``kept``, and have Tune forget them.

    ``dropped`` go as well, if they are there: Tune does not know those of an earlier driver.

    Uses the ``checkpoint_manager``'s list, which is part of every snapshot and would grow with
    the number of slices.
    """
    manager = trial.run_metadata.checkpoint_manager
    filesystem = trial.storage.storage_filesystem
    known = [result.checkpoint.path for result in manager._checkpoint_results]
    for path in dict.fromkeys([*known, *dropped]):
        if path not in kept and filesystem.get_file_info(path).type != FileType.NotFound:
            filesystem.delete_dir(path)
    manager._checkpoint_results = [
        result for result in manager._checkpoint_results if result.checkpoint.path in kept
    ]
    trial.invalidate_json_state()


def checkpoint_path(trial: Trial) -> str | None:
    """Path, on the experiment's storage, of the latest checkpoint; None without one."""
    return trial.checkpoint.path if trial.checkpoint is not None else None


def register(trial: Trial, checkpoint: str, metrics: Mapping[str, Any]) -> None:
    """Tell Tune of a checkpoint that the trial saved by itself, as if Tune had asked for it."""
    made = Checkpoint(checkpoint, filesystem=trial.storage.storage_filesystem)
    trial.on_checkpoint(_TrainingResult(checkpoint=made, metrics=dict(metrics)))


def next_folder(trainable: Trainable) -> Path | None:
    """Folder for the trial's next checkpoint on its storage; None if that is not a local path.

    Tune saves into a temporary folder and copies it to the storage, twice the writing. Uses
    the trainable's ``_storage``, as Trainable.save does.

    Raises:
        FileNotFoundError: the storage is not there, or is another one.
    """
    storage = trainable._storage
    if storage is None or storage.storage_filesystem.type_name != "local":
        return None
    storage._update_checkpoint_index({})
    try:
        storage._check_validation_file()
    except RuntimeError as error:
        told = "the run's folder is not there any more"
        raise FileNotFoundError(errno.ENOENT, told, storage.experiment_fs_path) from error
    return Path(storage.checkpoint_fs_path)


def stored_result(trainable: Trainable, path: str, counters: Mapping[str, Any]) -> _TrainingResult:
    """A checkpoint on the trial's storage in the form that Trainable.restore takes."""
    assert trainable._storage is not None
    made = Checkpoint(path, filesystem=trainable._storage.storage_filesystem)
    return _TrainingResult(checkpoint=made, metrics=dict(counters))


def refuse_pickled(result: _TrainingResult) -> None:
    """Raise :class:`CheckpointError` for a checkpoint that Trainable.restore would unpickle.

    Ours never hold Tune's ``_dict_checkpoint.pkl``: somebody else put it there.
    """
    checkpoint = result.checkpoint
    file = f"{checkpoint.path}/{_DICT_CHECKPOINT_FILE_NAME}"
    if checkpoint.filesystem.get_file_info(file).type != FileType.NotFound:
        raise CheckpointError(Path(file), "no pickle in a checkpoint", "one, which was not opened")
