"""Lightning Trainers that do one thing and are silent about it."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.strategies import SingleDeviceStrategy

from hrfs.experiment.records import WorkerInfo
from hrfs.training.devices import CPU
from hrfs.training.modules import keeps_state
from hrfs.training.settings import TrainerSettings

_CHATTER = (
    r".*does not have many workers which may be a bottleneck",  # sets in memory need none
    r".*GPU available but not used",  # a CPU worker on a machine with a GPU
    r".*isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning 2.6 upon torch 2.9 and later
    r"You defined a `validation_step` but have no `val_dataloader`",  # a probe does not evaluate
)


class StayingStrategy(SingleDeviceStrategy):
    """Leaves module and optimizers on their device after a fit.

    Lightning's own brings them to the CPU and gives the GPU's memory back to the driver, at the
    end of each fit: for a slice, that is a way there and back that nobody asked for.
    """

    def teardown(self) -> None:
        """Let go of all but the device."""
        self.precision_plugin.teardown()
        self.checkpoint_io.teardown()


def make_trainer(worker: WorkerInfo, settings: TrainerSettings) -> Trainer:
    """A Trainer for one pass on ``worker``: no files, no bars, no sanity check.

    The device follows the worker's kind, not what the process can see: a CPU worker on a
    machine with a GPU must leave the GPU alone.
    """
    return Trainer(
        accelerator="cuda" if worker.on_gpu else "cpu",
        devices=1,
        strategy=StayingStrategy(torch.device("cuda", 0) if worker.on_gpu else CPU),
        precision=settings.precision,  # type: ignore[arg-type]
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        # or Lightning takes a batch system's environment for a distributed run of its own
        plugins=[LightningEnvironment()],
    )


class SliceTrainer:
    """One Trainer that fits slice after slice, of one trial or another.

    Making a Trainer costs 5 ms and more, because Lightning then reads the entry points of
    all installed packages; a slice may be shorter than a second. So the Trainer is kept, and
    what it remembers is renewed: the fit loop with its counters, the callbacks, and the scale
    of the loss where gradients are in 16 bits.
    """

    def __init__(self, worker: WorkerInfo, settings: TrainerSettings) -> None:
        self._made_for = (worker.on_gpu, settings)
        self._trainer = make_trainer(worker, settings)
        self._first_precision_state = self._trainer.precision_plugin.state_dict()

    def serves(self, worker: WorkerInfo, settings: TrainerSettings) -> bool:
        """Whether it may train on ``worker`` by these settings."""
        return self._made_for == (worker.on_gpu, settings)

    @property
    def device(self) -> torch.device:
        """Where it trains; modules stay there after a fit."""
        return self._trainer.strategy.root_device

    def fit(
        self,
        module: LightningModule,
        callback: Callback,
        training: Iterable[Any],
        validation: Iterable[Any] | None = None,
    ) -> dict[str, float]:
        """One epoch over ``training``, then one over ``validation`` if given; what was logged.

        After an exception the object is to be thrown away.
        """
        trainer = self._trainer
        # drops the callbacks that the last module brought along
        trainer.callbacks = [callback]  # type: ignore[attr-defined]
        trainer.fit_loop = type(trainer.fit_loop)(trainer, max_epochs=1)
        # Within a fit, Lightning evaluates with no_grad: a module might use in training what its
        # validation has made. Ours says that it does not.
        trainer.fit_loop.epoch_loop.val_loop.inference_mode = keeps_state(module)
        if self._first_precision_state:
            trainer.precision_plugin.load_state_dict(self._first_precision_state)
        trainer.fit(module, training, validation)
        # both hold the optimizer's memory, as large as the weights, while another is loaded
        trainer.optimizers = []
        trainer.callbacks = []  # type: ignore[attr-defined]
        return {name: float(value) for name, value in trainer.callback_metrics.items()}


def set_threads(worker: WorkerInfo, settings: TrainerSettings) -> None:
    """Give torch the threads of the worker's bundle; changes nothing if it has them."""
    wanted = max(1, int(worker.cpus)) if settings.threads == "auto" else settings.threads
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's notices and some of its warnings off the screen.

    The level of its loggers stays raised afterwards; its other warnings come through.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in _CHATTER:
            warnings.filterwarnings("ignore", message=message)
        yield
