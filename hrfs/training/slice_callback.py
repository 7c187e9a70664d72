"""What hrfs does within one ``Trainer.fit``: restore, seed, time and stretch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.slices import SliceRequest
from hrfs.training.learning_rate import ShapedRate
from hrfs.training.loaders import seed_everything
from hrfs.training.lr_shapes import LrShape
from hrfs.training.modules import group_keys
from hrfs.training.optimizers import restore_optimizer
from hrfs.training.progress import Progress
from hrfs.training.randomness import Identity, Stream, derive


class SliceCallback(Callback):
    """Lives for one slice.

    After the fit: ``train_s`` and ``evaluate_s``, ``mean_loss`` (NaN if any loss was),
    ``steps`` done, and the ``progress`` to go on from.
    """

    def __init__(
        self,
        request: SliceRequest,
        identity: Identity,
        accepted: Mapping[str, Any],
        optimizer_states: list[dict[str, Any]],
        precision_state: dict[str, Any],
        lr_shape: LrShape | None = None,
        on_trained: Callable[[LightningModule, Progress], None] | None = None,
    ) -> None:
        """
        Args:
            identity: of the request's trial, from which all that is drawn follows.
            accepted: hyperparameters that the module's constructor took.
            optimizer_states: to go on from; empty in a trial's first slice.
            lr_shape: of the rate over the trial's life; None leaves it as it is.
            on_trained: told between training and evaluation what the trial has come to; its time
                counts as evaluation.
        """
        self._request = request
        self._identity = identity
        self._accepted = accepted
        self.progress = Progress(
            identity,
            request.from_iteration + request.iterations,
            dict(request.hyperparameters),
            optimizer_states,
            precision_state,
        )
        self._lr_shape = lr_shape
        self._on_trained = on_trained
        self._rate: ShapedRate | None = None
        self.train_s = 0.0
        self.evaluate_s = 0.0
        self.steps = 0
        self._loss_sum: Tensor | None = None
        self._losses = 0
        self._phase_start_s = 0.0
        self._work_start_s = 0.0
        self._computed_s = 0.0

    @property
    def mean_loss(self) -> float | None:
        """Mean of the losses of all steps; None if the module returned none."""
        return None if self._loss_sum is None else float(self._loss_sum) / self._losses

    @property
    def last_lr(self) -> float | None:
        """The shaped rate of the last step; None if rates have no shape."""
        return None if self._rate is None else self._rate.last

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Optimizers are new in each fit: give them their past, then the values of today."""
        if trainer.lr_scheduler_configs:
            raise ConfigError(
                "model._target_",
                type(pl_module).__name__,
                "configure_optimizers returns a learning-rate scheduler",
                "return the optimizer alone: population-based training moves the rate, and "
                "trainer.lr_schedule shapes it",
            )
        progress = self.progress
        if progress.optimizer_states:
            for optimizer, state in zip(trainer.optimizers, progress.optimizer_states, strict=True):
                restore_optimizer(optimizer, state)
        if progress.precision_state:
            trainer.precision_plugin.load_state_dict(progress.precision_state)
        self._write_hyperparameters(trainer)

    def _write_hyperparameters(self, trainer: Trainer) -> None:
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        for name, value in self._request.hyperparameters.items():
            holders = [group for group in groups if name in group]
            for group in holders:
                group[name] = value
            if not holders and name not in self._accepted:
                known = group_keys([o.state_dict() for o in trainer.optimizers])
                raise ConfigError(
                    f"population.search_space.{name}",
                    value,
                    "reaches neither the optimizer nor the constructor of the model",
                    f"the optimizer has {', '.join(sorted(known))}",
                )
        if self._lr_shape is not None:
            self._rate = ShapedRate(self._lr_shape, groups)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._phase_start_s = _now_s(pl_module)
        self._begin_work()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        seed, member = self._identity
        iteration = self._request.from_iteration + batch_idx
        seed_everything(derive(seed, Stream.STEP, member, iteration))
        if self._rate is not None:
            self._rate.write(iteration)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            loss = loss.detach().double()
            self._loss_sum = loss if self._loss_sum is None else self._loss_sum + loss
            self._losses += 1
        self._stretch()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now_s = _now_s(pl_module)
        self.train_s = now_s - self._phase_start_s
        self._phase_start_s = now_s
        if self._on_trained is not None:
            self._take_states(trainer)
            self._on_trained(pl_module, self.progress)
        self._begin_work()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._stretch()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.evaluate_s = _now_s(pl_module) - self._phase_start_s

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the optimizers' states, on the device where they are, and no gradients."""
        self.steps = trainer.global_step
        self._take_states(trainer)
        pl_module.zero_grad()

    def _take_states(self, trainer: Trainer) -> None:
        if self._rate is not None:
            self._rate.put_back()
        progress = self.progress
        progress.optimizer_states = [optimizer.state_dict() for optimizer in trainer.optimizers]
        # A worker without such a state keeps the one of a worker that had it.
        progress.precision_state = trainer.precision_plugin.state_dict() or progress.precision_state

    def _begin_work(self) -> None:
        self._work_start_s, self._computed_s = time.perf_counter(), time.thread_time()

    def _stretch(self) -> None:
        """Make the work since the last call take ``slowdown`` times as long.

        As long as it would by itself: the seconds for which the thread computed count, not those
        for which it waited for a core, or else emulated workers would slow each other down.
        """
        slowdown = self._request.worker.slowdown
        if slowdown > 1:
            due_s = self._work_start_s + slowdown * (time.thread_time() - self._computed_s)
            time.sleep(max(0.0, due_s - time.perf_counter()))
            self._begin_work()


def _now_s(pl_module: LightningModule) -> float:
    """The time once the device has done what it was given."""
    if pl_module.device.type == "cuda":
        torch.cuda.synchronize(pl_module.device)
    return time.perf_counter()
