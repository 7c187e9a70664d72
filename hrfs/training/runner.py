"""Trains one trial at a time, slice by slice, with Lightning.

What a LightningModule of the user's own owes:

- Lightning's ``training_step``, ``validation_step`` and ``configure_optimizers``, with
  automatic optimization and one optimizer step per batch. No learning-rate scheduler:
  population-based training moves the rate, and ``trainer.lr_schedule`` gives it a shape.
- It logs the metric that ranks trials (``population.metric``, by default ``val/acc``) in
  ``validation_step``. ``train/loss`` is the mean of the losses of the slice; the runner adds
  it if the module does not log it. Where the rate has a shape, ``train/lr`` is that of the last
  step.
- Hyperparameters arrive as keyword arguments of its constructor where it takes them. At the
  start of each slice, after the optimizer's state has come back, they are also written into
  every parameter group of the optimizer that has a key of that name (lr, momentum,
  weight_decay, ...) and into ``self.hparams``. Where a value has changed that the constructor
  takes and the optimizer does not have (a dropout rate, say), the module is built anew
  with it and the weights are carried over; so such a value must not change their shapes.
- Its state is in parameters and registered buffers, or goes through Lightning's
  ``on_save_checkpoint`` and ``on_load_checkpoint`` as tensors and plain values. One module
  object serves many trials: other attributes are not cleared between them.
- Each slice is a fit of its own: ``trainer.global_step`` and ``current_epoch`` begin at 0.
  Hooks that move or change a batch belong to the module, not to the data module.
- Where ``trainer.compile`` is set, ``training_step`` is compiled by torch.compile.
- ``save_hyperparameters()``, so that the winner's checkpoint opens by itself; a ``test_step``,
  if the winner is to be tested.

What a LightningDataModule of the user's own owes: ``train_dataloader`` and ``val_dataloader``
(and ``test_dataloader`` for the winner), each one torch DataLoader over a map-style dataset,
built with ``batch_size``. hrfs keeps dataset, batch size, collate function and
worker processes (which last as long as the runner, so a dataset must not be changed between
slices), and replaces the sampler by its own, so that batch i of a trial is the same wherever it
is trained. ``prepare_data`` must find its work done the second time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule

from hrfs.experiment.slices import SliceRequest, SliceResult
from hrfs.training.datamodules import build_data, prepare_node
from hrfs.training.decision import Decisions
from hrfs.training.health import is_healthy
from hrfs.training.loaders import Batches
from hrfs.training.memory import memory_hint
from hrfs.training.modules import (
    ModuleFactory,
    group_keys,
    note_hyperparameters,
    prepare,
    put_state,
    take_extra,
)
from hrfs.training.progress import Progress
from hrfs.training.randomness import Identity
from hrfs.training.settings import RunnerSettings, TrainerSettings
from hrfs.training.slice_callback import SliceCallback
from hrfs.training.state import TrialState, load_state, save_state
from hrfs.training.trainer import SliceTrainer, quiet, set_threads


def build(settings: Mapping[str, Any]) -> LightningSliceRunner:
    """The :data:`~hrfs.experiment.slices.RunnerFactory` of this package.

    Args:
        settings: ``{"model", "dataset", "trainer", "seed", "allowed_targets"}``, or ``seeds``
            and ``population_size`` in place of ``seed``, and perhaps ``stop_iterations``; see
            :meth:`~hrfs.training.settings.RunnerSettings.from_plain`.

    Raises:
        ConfigError: something in the settings cannot be.
    """
    return LightningSliceRunner(RunnerSettings.from_plain(settings))


class LightningSliceRunner:
    """A :class:`~hrfs.experiment.slices.SliceRunner`; one per worker process.

    The module object, the decoded dataset and the loaders' settings are kept from trial to
    trial; the weights, the optimizer's state and the hyperparameters are not.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        self._settings = settings
        self._factory = ModuleFactory(settings)
        self._data = build_data(settings)
        self._kept_batches: Batches | None = None
        self._kept_module: LightningModule | None = None
        self._kept_trainer: SliceTrainer | None = None
        self._decisions = Decisions(settings)
        self._built_with: dict[str, Any] = {}
        self._fresh_trial: Identity | None = None
        self._progress: Progress | None = None

    def begin(self, trial: int) -> None:
        """Make fresh weights for ``trial`` (when its hyperparameters are known, at first use)."""
        self._progress = None
        self._fresh_trial = self._settings.populations.identity(trial)

    def load(self, file: Path) -> None:
        """Take up a saved state; see :class:`SliceRunner`.

        Raises:
            CheckpointError: the file is damaged, foreign or of another network; the runner
                then holds no trial.
        """
        self._progress = self._fresh_trial = None
        state = load_state(file)
        if not self._serves(state.hyper_parameters, state.optimizer_states):
            self._build(state.identity, state.hyper_parameters)
        put_state(self._module, state, file)
        self._progress = Progress(
            state.identity,
            state.iteration,
            state.hyper_parameters,
            state.optimizer_states,
            state.precision_state,
            may_change_trial=True,
        )

    def save(self, file: Path) -> None:
        """Write the present state to ``file``, atomically and with a checksum.

        Raises:
            OSError: the folder cannot be written or the disk is full.
            RuntimeError: no trial is held.
        """
        progress = self._hold(None, {})
        seed, member = progress.identity
        state = TrialState(
            state_dict=self._module.state_dict(),
            optimizer_states=progress.optimizer_states,
            trial=member,
            iteration=progress.iteration,
            seed=seed,
            hyper_parameters=progress.hyperparameters,
            precision_state=progress.precision_state,
            extra=take_extra(self._module),
        )
        save_state(file, state)

    def run(self, request: SliceRequest) -> SliceResult:
        """Train ``request.iterations`` steps, then evaluate on the validation split.

        Which batches come, and what is drawn at random in them, depends on the seed of the
        trial's population, on its number there and on the iterations alone. Training diverges,
        which is a result and no error, where the mean loss of the slice, a weight, a running
        statistic or the optimizer's memory is not finite. Of the other metrics only the one that
        ranks trials has to be, and that is for the driver to see.

        Raises:
            ConfigError: a hyperparameter reaches nothing, or the data module breaks its
                contract.
            ValueError: a slice of no iterations, or of a trial that there is not.
            MemoryError, RuntimeError: out of memory, with a hint; the runner then holds no
                trial.
        """
        if request.iterations < 1:
            raise ValueError(f"a slice has at least one iteration, not {request.iterations}")
        set_threads(request.worker, self._settings.trainer)
        batches = self._batches()
        identity = self._settings.populations.identity(request.trial)
        progress = self._hold(identity, request.hyperparameters)
        decision = self._decisions.of(request, self._module, batches)
        self._progress = None  # what an interrupted fit leaves behind is no state
        callback = SliceCallback(
            request,
            identity,
            self._factory.accepted(request.hyperparameters),
            progress.optimizer_states,
            progress.precision_state,
            self._settings.lr_shape,
        )
        metrics = self._fit(request, batches, callback, decision.trainer)
        self._progress = Progress(
            identity,
            request.from_iteration + request.iterations,
            dict(request.hyperparameters),
            callback.optimizer_states,
            callback.precision_state,
        )
        losses = [callback.mean_loss, metrics.get("train/loss")]
        finite = all(math.isfinite(loss) for loss in losses if loss is not None)
        healthy = finite and is_healthy(self._module, callback.optimizer_states)
        times_s = callback.train_s, callback.evaluate_s
        return SliceResult(metrics, *times_s, diverged=not healthy, facts=decision.facts)

    def _fit(
        self,
        request: SliceRequest,
        batches: Batches,
        callback: SliceCallback,
        settings: TrainerSettings,
    ) -> dict[str, float]:
        # If the fit fails they are not kept: a module would hold on to a GPU's memory.
        trainer, self._kept_trainer = self._kept_trainer, None
        module, self._kept_module = self._module, None
        with quiet(), memory_hint(request.worker), batches.closed_on_failure():
            if trainer is None or not trainer.serves(request.worker, settings):
                trainer = SliceTrainer(request.worker, settings)
            prepare(module, settings)
            batches.put_in_order(bool(settings.channels_last))
            training = batches.for_slice(
                request.trial, request.from_iteration, request.iterations, trainer.device
            )
            validation = batches.for_validation(request.trial, trainer.device)
            metrics = trainer.fit(module, callback, training, validation)
        self._kept_trainer, self._kept_module = trainer, module
        if callback.steps != request.iterations:
            raise RuntimeError(
                f"slice {request.slice}: {callback.steps} optimizer steps were done instead of "
                f"{request.iterations}; a module must take one step for each batch"
            )
        if callback.mean_loss is not None:
            metrics.setdefault("train/loss", callback.mean_loss)
        if callback.last_lr is not None:
            metrics.setdefault("train/lr", callback.last_lr)
        return metrics

    def close(self) -> None:
        """End the processes that load data; the next slice starts new ones."""
        if self._kept_batches is not None:
            self._kept_batches.close()

    @property
    def _module(self) -> LightningModule:
        if self._kept_module is None:
            raise RuntimeError("begin or load must come first")
        return self._kept_module

    def _batches(self) -> Batches:
        if self._kept_batches is None:
            prepare_node(self._data, self._settings)
            self._data.setup("fit")
            self._kept_batches = Batches(
                self._data.train_dataloader(),
                self._data.val_dataloader(),
                self._settings.populations,
                validation_samples=self._settings.trainer.validation_samples,
            )
        return self._kept_batches

    def _hold(self, identity: Identity | None, hyperparameters: Mapping[str, Any]) -> Progress:
        """Make the module ready for that trial (None: whichever is held) and these values."""
        if self._fresh_trial is not None:
            self._progress = Progress(self._fresh_trial, 0, dict(hyperparameters))
            self._build(self._fresh_trial, hyperparameters)
            self._fresh_trial = None
        progress = self._progress
        if progress is None:
            raise RuntimeError("no trial is held: begin or load must come first")
        if identity is not None:
            progress.check_goes_on_as(identity)
        if not self._serves(hyperparameters, progress.optimizer_states):
            self._progress = None  # what a constructor that raises leaves behind is no state
            self._rebuild(progress.identity, hyperparameters)
            self._progress = progress
        return progress

    def _serves(
        self, hyperparameters: Mapping[str, Any], optimizer_states: list[dict[str, Any]]
    ) -> bool:
        """Whether the module at hand can go on with these values; notes them if so."""
        if self._kept_module is None:
            return False
        reach = group_keys(optimizer_states)
        accepted = self._factory.accepted(hyperparameters)
        for name, value in accepted.items():
            if name not in reach and self._built_with.get(name, None) != value:
                return False
        note_hyperparameters(self._kept_module, accepted)
        self._built_with.update(accepted)
        return True

    def _build(self, identity: Identity, hyperparameters: Mapping[str, Any]) -> None:
        self._kept_module = self._factory.build(identity, hyperparameters)
        self._built_with = self._factory.accepted(hyperparameters)

    def _rebuild(self, identity: Identity, hyperparameters: Mapping[str, Any]) -> None:
        """A new module object with the old one's weights and its own notes."""
        old = self._module
        weights, extra = old.state_dict(), take_extra(old)
        self._build(identity, hyperparameters)
        self._module.load_state_dict(weights, strict=True)
        if extra:
            self._module.on_load_checkpoint(extra)
