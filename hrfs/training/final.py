"""The end of a run: the winner meets the test set, once, and is exported."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.utilities.model_helpers import is_overridden

from hrfs.experiment.records import WorkerInfo
from hrfs.training.datamodules import build_data, prepare_node
from hrfs.training.export import export
from hrfs.training.memory import memory_hint
from hrfs.training.modules import ModuleFactory, put_state
from hrfs.training.settings import EXACT, RunnerSettings
from hrfs.training.state import load_state
from hrfs.training.trainer import make_trainer, quiet, set_threads

log = logging.getLogger(__name__)


def evaluate_winner(
    settings: Mapping[str, Any], checkpoint_file: Path, worker: WorkerInfo, export_to: Path
) -> dict[str, float]:
    """Evaluate a saved trial on the test set and export it as a plain Lightning checkpoint.

    Where slices were evaluated on a subset (``trainer.validation_samples``), it is evaluated on
    the whole validation split too.

    The exported file opens by ``load_from_checkpoint`` of the module's class, with
    ``weights_only=True`` if its hyperparameters are plain values. Its weights are written
    beside it, as :func:`hrfs.training.export.export_weights` says.

    Args:
        settings: as for :func:`hrfs.training.runner.build`.
        checkpoint_file: what a runner's ``save`` wrote.
        worker: where to evaluate; decides the device.
        export_to: file to write; its folder is made if missing.

    Returns:
        What the module logs in ``test_step`` (``test/acc`` and ``test/loss`` of ours); nothing
        of it, with a line in the log, if the module has no ``test_step``. Beside it what it logs
        in ``validation_step``, if slices saw a subset.

    Raises:
        CheckpointError: ``checkpoint_file`` is damaged or of another network.
        OSError: the folder of ``export_to`` cannot be written or the disk is full.
        ConfigError: the test set's files are missing or damaged.
    """
    checked = RunnerSettings.from_plain(settings)
    set_threads(worker, checked.trainer)
    state = load_state(checkpoint_file)
    module = ModuleFactory(checked).build(state.identity, state.hyper_parameters)
    put_state(module, state, checkpoint_file)
    with quiet():
        trainer = make_trainer(worker, checked.trainer.decided(EXACT))
        trainer.strategy.connect(module)
        export(trainer, module, export_to)
        with memory_hint(worker):
            return _evaluate(trainer, module, checked)


def _evaluate(
    trainer: Trainer, module: LightningModule, settings: RunnerSettings
) -> dict[str, float]:
    tested, subset = is_overridden("test_step", module), settings.trainer.validation_samples
    if not tested:
        log.warning("%s has no test_step: the winner is not tested", type(module).__name__)
    found: dict[str, float] = {}
    if tested or subset is not None:
        data = build_data(settings)
        prepare_node(data, settings)
        found |= {} if subset is None else _validate(trainer, module, data)
        found |= _test(trainer, module, data) if tested else {}
    return found


def _validate(
    trainer: Trainer, module: LightningModule, data: LightningDataModule
) -> dict[str, float]:
    """Metrics on the whole validation split."""
    data.setup("fit")  # as for slices: a data module need not know of another stage
    trainer.validate(module, data.val_dataloader(), verbose=False)
    return _logged(trainer)


def _test(trainer: Trainer, module: LightningModule, data: LightningDataModule) -> dict[str, float]:
    data.setup("test")
    trainer.test(module, data.test_dataloader(), verbose=False)
    return _logged(trainer)


def _logged(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
