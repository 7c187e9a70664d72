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
- ``evaluation_keeps_state = True``, as an attribute, if no hook of its validation changes
  parameters or buffers, even for a while, or makes a tensor that training uses. Its state is then
  written while it is evaluated, and it is evaluated in ``torch.inference_mode``.
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

from hrfs.experiment.slices import PlaceForState, SliceRequest, SliceResult
from hrfs.training.datamodules import build_data, prepare_node
from hrfs.training.decision import Decisions
from hrfs.training.early_save import EarlySaves
from hrfs.training.health import is_healthy
from hrfs.training.heap import Heap
from hrfs.training.holding import Holding, state_of
from hrfs.training.loaders import Batches
from hrfs.training.memory import memory_hint
from hrfs.training.modules import ModuleFactory, keeps_state, prepare
from hrfs.training.progress import Progress
from hrfs.training.settings import RunnerSettings, TrainerSettings
from hrfs.training.slice_callback import SliceCallback
from hrfs.training.state import save_state
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
        self._holding = Holding(ModuleFactory(settings))
        self._data = build_data(settings)
        self._kept_batches: Batches | None = None
        self._kept_trainer: SliceTrainer | None = None
        self._decisions = Decisions(settings)
        self._early_saves = EarlySaves()
        self._heap = Heap()

    def begin(self, trial: int) -> None:
        """Make fresh weights for ``trial`` (when its hyperparameters are known, at first use)."""
        self._early_saves.drop()
        self._holding.begin(self._settings.populations.identity(trial))

    def load(self, file: Path) -> None:
        """Take up a saved state; see :class:`SliceRunner`.

        Raises:
            CheckpointError: the file is damaged, foreign or of another network; the runner
                then holds no trial.
        """
        self._early_saves.drop()
        self._holding.load(file)

    def save_early(self, place: PlaceForState) -> None:
        """See :class:`~hrfs.experiment.slices.EarlySaver`.

        Only a module that says ``evaluation_keeps_state`` is saved while it is evaluated.
        """
        self._early_saves.expect(place)

    def save(self, file: Path) -> None:
        """Write the present state to ``file``, atomically and with a checksum.

        Raises:
            OSError: the folder cannot be written or the disk is full.
            RuntimeError: no trial is held.
        """
        state = self._holding.state()
        if not self._early_saves.has_written(file, state):
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
        if not request.worker.on_gpu:
            self._heap.keep_freed()
        batches = self._batches()
        identity = self._settings.populations.identity(request.trial)
        progress = self._holding.hold(identity, request.hyperparameters)
        decision = self._decisions.of(request, self._module, batches)
        callback = SliceCallback(
            request,
            identity,
            self._holding.accepted(request.hyperparameters),
            progress.optimizer_states,
            progress.precision_state,
            self._settings.lr_shape,
            on_trained=self._on_trained,
        )
        with self._early_saves.dropped_on_failure():
            metrics = self._fit(request, batches, callback, decision.trainer)
        self._holding.goes_on(callback.progress)
        losses = [callback.mean_loss, metrics.get("train/loss")]
        finite = all(math.isfinite(loss) for loss in losses if loss is not None)
        healthy = finite and is_healthy(self._module, callback.progress.optimizer_states)
        times_s = callback.train_s, callback.evaluate_s
        self._heap.give_back("evaluated")
        return SliceResult(metrics, *times_s, diverged=not healthy, facts=decision.facts)

    def _fit(
        self,
        request: SliceRequest,
        batches: Batches,
        callback: SliceCallback,
        settings: TrainerSettings,
    ) -> dict[str, float]:
        trainer, self._kept_trainer = self._kept_trainer, None  # not kept if the fit fails
        with (
            self._holding.lent() as module,
            quiet(),
            memory_hint(request.worker),
            batches.closed_on_failure(),
        ):
            if trainer is None or not trainer.serves(request.worker, settings):
                trainer = SliceTrainer(request.worker, settings)
            prepare(module, settings)
            batches.put_in_order(bool(settings.channels_last))
            training = batches.for_slice(
                request.trial, request.from_iteration, request.iterations, trainer.device
            )
            validation = batches.for_validation(request.trial, trainer.device)
            metrics = trainer.fit(module, callback, training, validation)
        self._kept_trainer = trainer
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

    def _on_trained(self, module: LightningModule, progress: Progress) -> None:
        """The slice is trained and its evaluation begins."""
        self._heap.give_back("trained")
        if keeps_state(module):
            self._early_saves.begin(lambda: state_of(module, progress))

    def close(self) -> None:
        """End the processes that load data; the next slice starts new ones."""
        if self._kept_batches is not None:
            self._kept_batches.close()

    @property
    def _module(self) -> LightningModule:
        return self._holding.module

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
