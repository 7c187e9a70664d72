"""Trainables that are trained in slices.

The contract of :class:`hrfs.tuning.scheduler.HRFSScheduler` with any class Trainable:

* ``config["hrfs"]`` is the slice to do, a dictionary form of
  :class:`hrfs.experiment.slices.SliceRequest`; ``config["hrfs"]["iterations"]`` says how far.
* One ``step()`` does exactly that slice, evaluates, and returns the metric.
* ``save_checkpoint`` and ``load_checkpoint`` carry everything that training depends on.
* ``reset_config`` returns True: the process is kept for other trials. After a reset comes
  ``load_checkpoint``, or nothing if the trial begins.

:class:`SliceTrainable` keeps that contract for its subclasses, and saves and loads faster.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyarrow.fs import FileType
from ray import tune

from hrfs.experiment.checkpoint import CheckpointError
from hrfs.experiment.cores import CoreShare
from hrfs.experiment.files import let_no_others_write, make_folder
from hrfs.experiment.pinning import Pinning
from hrfs.experiment.slices import SliceRequest
from hrfs.tuning.cores import CORES_KEY
from hrfs.tuning.privates import next_folder, refuse_pickled, stored_result
from hrfs.tuning.storage_saves import saving

SLICE_KEY = "hrfs"
"""Key of the trial's config that holds the slice to do."""
STATE_FILE = "state.ckpt"
HANDOVER_KEY = "hrfs_handover"
"""Key of the trial's config: ``path`` of the state to begin from (None: begin anew), and Tune's
``counters`` of the trial. If it is there, the state is saved within the slice."""
SAVED_KEY = "hrfs_saved"
"""Key of a result: folder of the checkpoint that was saved within the slice."""
FRESH_PROCESS = "fresh_process"
"""Key of a result: True for the first slice of a process."""


class SliceTrainable(tune.Trainable):
    """Base class: override ``build``, ``begin``, ``train_slice``, ``save_state``, ``load_state``.

    A hand-over costs it two calls in place of Tune's four: state is saved at the end of a slice
    and loaded with the next trial's config. It writes a checkpoint straight into the trial's
    storage folder, and loads none that the process still holds.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Build what outlasts trials. Tune calls this once per process."""
        self._held: str | None = None
        """Checkpoint that the process's present state equals."""
        self._ready = False
        """Whether the trial of the present config is in the process."""
        self._unloadable: Exception | None = None
        """Why the state to begin from could not be loaded."""
        self._folder: Path | None = None
        """For the state after the present slice, once it is known."""
        self._load_s = 0.0
        self._fresh_process = True
        let_no_others_write()  # a cluster that we joined has a umask of its own
        self._pinning = Pinning()
        self._keep_to(config.get(CORES_KEY))  # before torch starts threads
        self.build(config)
        self._take_over()

    def build(self, config: Mapping[str, Any]) -> None:
        """Make what outlasts the trials of this process."""

    def begin(self, trial: int) -> None:
        """Make fresh state for ``trial``."""
        raise NotImplementedError  # abstract

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """Train ``request.iterations`` steps, evaluate, and return the metrics."""
        raise NotImplementedError  # abstract

    def save_state(self, folder: Path) -> None:
        """Write the state into ``folder``."""
        raise NotImplementedError  # abstract

    def load_state(self, folder: Path) -> None:
        """Take up the state that :meth:`save_state` wrote."""
        raise NotImplementedError  # abstract

    def reset(self, new_config: dict[str, Any], storage: Any = None) -> Any:
        """Tune's hook for the next trial: take its config, and its state where it is told."""
        done = super().reset(new_config, storage=storage)
        self._keep_to(new_config.get(CORES_KEY))
        self._take_over()
        return done

    def _keep_to(self, cores: Mapping[str, Any] | None) -> None:
        if cores is not None:
            self._pinning.take(CoreShare.from_dict(cores))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The state of the last trial is not the next one's."""
        self._ready = False
        return True

    def _take_over(self) -> None:
        handover, self._unloadable = self.config.get(HANDOVER_KEY), None
        if handover and handover["path"] is not None:
            try:
                self.restore(stored_result(self, handover["path"], handover["counters"]))
            except Exception as error:
                # Tune ends a trial for good whose process fails before its first step.
                self._unloadable = error

    def restore(self, checkpoint_result: Any) -> None:
        """Tune's hook: load this checkpoint, unless it holds what Tune would unpickle.

        Raises:
            CheckpointError: it does, and nothing of it has been read; or a file is missing.
        """
        refuse_pickled(checkpoint_result)
        checkpoint, wanted = checkpoint_result.checkpoint, "the state of a trial"
        if checkpoint.filesystem.get_file_info(checkpoint.path).type == FileType.NotFound:
            raise CheckpointError(Path(checkpoint.path), wanted, "no such folder")
        try:
            super().restore(checkpoint_result)
        except FileNotFoundError as error:
            raise CheckpointError(Path(checkpoint.path), wanted, str(error)) from error

    def step(self) -> dict[str, Any]:
        """Do the slice that ``config["hrfs"]`` asks for.

        If it raises, the process holds no trial: nothing goes on from half a slice. (Tune ends
        the process of a slice that raised, and with it what it held of a device's memory.)
        """
        request = SliceRequest.from_dict(self.config[SLICE_KEY])
        if self._unloadable is not None:
            raise self._unloadable
        if not self._ready:
            if request.from_iteration > 0:
                raise RuntimeError(
                    f"trial {request.trial} is at iteration {request.from_iteration} "
                    "but no checkpoint of it was loaded"
                )
            self.begin(request.trial)
        self._ready, self._held = False, None
        load_s, self._load_s = self._load_s, 0.0
        fresh, self._fresh_process = self._fresh_process, False
        self._folder = None
        start_s = time.perf_counter()
        metrics = dict(self.train_slice(request))
        metrics.setdefault("train_s", time.perf_counter() - start_s)
        saved = self._hand_over() if HANDOVER_KEY in self.config else {}
        self._ready = True
        return {
            **metrics,
            **saved,
            "iterations": request.from_iteration + request.iterations,
            "load_s": load_s,
            FRESH_PROCESS: fresh,
            CORES_KEY: self._pinning.told,
        }

    def _hand_over(self) -> dict[str, Any]:
        """Save within the slice, if the storage is a local path; else Tune will ask for it."""
        start_s = time.perf_counter()
        if self._folder is None:
            with saving("the storage"):
                self._folder = next_folder(self)
        folder = self._folder
        if folder is None:
            return {}
        with saving(folder, made=folder):
            make_folder(folder)
            self.save_state(folder)
        self._held = str(folder)
        return {SAVED_KEY: self._held, "save_s": time.perf_counter() - start_s}

    def early_folder(self) -> Path | None:
        """Folder for the state of the slice that is being done, made, if it may be written now.

        For a subclass that writes it before the end of ``train_slice``. None if Tune is to ask for
        the state, or if the storage refuses: then saving fails in the end, and says why.
        """
        if HANDOVER_KEY not in self.config:
            return None
        try:
            folder = next_folder(self)
            if folder is not None:
                make_folder(folder)
        except OSError:
            return None
        self._folder = folder
        return folder

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Tune's hook: have the state written and brought to the storage.

        Raises:
            SaveError: the disk is full or failing.
        """
        with saving(checkpoint_dir or "a checkpoint"):
            return super().save(checkpoint_dir)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tune's hook: write the state into ``checkpoint_dir``."""
        self.save_state(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Tune's hook: take up the state in this folder, unless the process still holds it."""
        if checkpoint != self._held:
            start_s = time.perf_counter()
            self._ready, self._held = False, None  # should it raise half-way
            self.load_state(Path(checkpoint))
            self._load_s = time.perf_counter() - start_s
            self._held = checkpoint
        self._ready = True
