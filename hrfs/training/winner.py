"""The winner of a run that is over, as a module again; nothing of it is unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pytorch_lightning import LightningModule

from hrfs.experiment.checkpoint import CheckpointError
from hrfs.training.modules import ModuleFactory
from hrfs.training.settings import RunnerSettings


def load_winner(
    settings: Mapping[str, Any], hyperparameters: Mapping[str, Any], weights_file: Path
) -> LightningModule:
    """The module of ``settings`` with the weights that a run left, on the CPU, for evaluation.

    It is built as the run built it, from its class and its arguments. torch's random state is
    left as it was.

    Args:
        settings: as for :func:`hrfs.training.runner.build`.
        hyperparameters: the winner's; the constructor gets those that it takes.
        weights_file: what :func:`hrfs.training.export.export_weights` wrote.

    Raises:
        ConfigError: the class may not be named or cannot be imported, or its arguments are wrong.
        CheckpointError: the file is damaged, or holds the weights of another network.
        FileNotFoundError: there is no such file.
    """
    factory = ModuleFactory(RunnerSettings.from_plain(settings))
    try:
        weights = safetensors.torch.load_file(weights_file)
    except safetensors.SafetensorError as error:
        raise CheckpointError(weights_file, "safetensors", str(error)) from error
    with torch.random.fork_rng(devices=[]):
        module = factory.construct(hyperparameters)
    try:
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        expected = f"weights of {type(module).__name__}"
        raise CheckpointError(weights_file, expected, " ".join(str(error).split())) from error
    return module.eval()
