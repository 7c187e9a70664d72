"""Making LightningModules from a configuration, and putting a trial's state into them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.model_helpers import is_overridden

from hrfs.experiment.checkpoint import CheckpointError
from hrfs.experiment.errors import ConfigError
from hrfs.training.loaders import seed_everything
from hrfs.training.randomness import Identity, Stream, derive
from hrfs.training.settings import RunnerSettings, TrainerSettings
from hrfs.training.state import TrialState
from hrfs.training.targets import TARGET, accepts, construct, instantiate, locate

OPTIMIZER_GROUP_PARTS = ("params",)
"""Keys of an optimizer's parameter group that are no hyperparameters."""
KEEPS_STATE = "evaluation_keeps_state"
"""Attribute of a module: True if evaluation leaves nothing behind in it."""


def keeps_state(module: LightningModule) -> bool:
    """Whether ``module`` says that what its evaluation makes and changes is used in no training.

    Its state may then be written meanwhile, and torch need not follow what is computed.
    """
    return getattr(module, KEEPS_STATE, False) is True


class ModuleFactory:
    """Builds the configured LightningModule with a trial's hyperparameters."""

    def __init__(self, settings: RunnerSettings) -> None:
        """
        Raises:
            ConfigError: the target may not be named, or is no LightningModule with a
                ``validation_step``.
        """
        self._settings = settings
        key = f"model.{TARGET}"
        self._class = locate(settings.model[TARGET], key, settings.allowed_targets)
        if not issubclass(self._class, LightningModule):
            raise ConfigError(
                key,
                settings.model[TARGET],
                "must be a pytorch_lightning.LightningModule",
                "derive it from that class, not from lightning.pytorch's",
            )
        if self._class.validation_step is LightningModule.validation_step:
            raise ConfigError(
                key, settings.model[TARGET], "has no validation_step to compare trials by"
            )

    def accepted(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """Those hyperparameters that the module's constructor takes."""
        return {n: v for n, v in hyperparameters.items() if accepts(self._class, n)}

    def build(self, identity: Identity, hyperparameters: Mapping[str, Any]) -> LightningModule:
        """A module with fresh weights, a function of the trial's identity and the accepted
        hyperparameters.
        """
        seed, member = identity
        seed_everything(derive(seed, Stream.INITIAL_WEIGHTS, member))
        return self.construct(hyperparameters)

    def construct(self, hyperparameters: Mapping[str, Any]) -> LightningModule:
        """A module with weights drawn from torch's present random state.

        Raises:
            ConfigError: a part of it may not be named, or its arguments are wrong.
        """
        arguments = {k: v for k, v in self._settings.model.items() if k != TARGET}
        arguments.update(self.accepted(hyperparameters))
        built = instantiate(arguments, "model", self._settings.allowed_targets)
        module: LightningModule = construct(self._class, built, "model")
        if self._settings.trainer.channels_last:  # "auto" begins so
            module.to(memory_format=torch.channels_last)
        return module


def prepare(module: LightningModule, trainer: TrainerSettings) -> None:
    """Give the weights their memory order, and have the training step compiled if it is to be.

    Weights keep their values and names. Evaluation is not compiled: its last batch is short, and
    each shape is compiled anew.
    """
    wanted = torch.channels_last if trainer.channels_last else torch.contiguous_format
    images = (weight for weight in module.parameters() if weight.dim() == 4)
    if not all(weight.is_contiguous(memory_format=wanted) for weight in images):
        module.to(memory_format=wanted)
    compiled = "training_step" in vars(module)
    if trainer.compile and not compiled:
        mode = "default" if trainer.compile is True else trainer.compile
        module.training_step = torch.compile(module.training_step, mode=mode)  # type: ignore[method-assign]
    elif compiled and not trainer.compile:
        del module.training_step


def group_keys(optimizer_states: list[dict[str, Any]]) -> set[str]:
    """Names that appear in any parameter group, e.g. lr, momentum, weight_decay."""
    groups = (group for state in optimizer_states for group in state["param_groups"])
    return {key for group in groups for key in group if key not in OPTIMIZER_GROUP_PARTS}


def put_state(module: LightningModule, state: TrialState, file: Path) -> None:
    """Copy weights and buffers of ``state`` into ``module``.

    Raises:
        CheckpointError: they are those of another network.
    """
    try:
        module.load_state_dict(state.state_dict, strict=True)
    except RuntimeError as error:
        found = " ".join(str(error).split())[:300]
        raise CheckpointError(file, f"weights of {type(module).__name__}", found) from error
    if is_overridden("on_load_checkpoint", module):
        module.on_load_checkpoint(state.extra)


def take_extra(module: LightningModule) -> dict[str, Any]:
    """What the module wants to be saved beside its weights and buffers."""
    extra: dict[str, Any] = {}
    if is_overridden("on_save_checkpoint", module):
        module.on_save_checkpoint(extra)
    return extra


def note_hyperparameters(module: LightningModule, hyperparameters: Mapping[str, Any]) -> None:
    """Write new values into ``module.hparams`` where it has those names."""
    for name, value in hyperparameters.items():
        if name in module.hparams:
            module.hparams[name] = value
