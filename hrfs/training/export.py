"""The winner as files for others: a Lightning checkpoint, and its weights as safetensors."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pytorch_lightning import LightningModule, Trainer

import hrfs
from hrfs.experiment.files import move_into_place, write_atomically
from hrfs.training.state import plain_values

log = logging.getLogger(__name__)

SAFETENSORS = ".safetensors"
"""Suffix of the weights, beside the Lightning checkpoint of the same name."""


def export(trainer: Trainer, module: LightningModule, file: Path) -> None:
    """Write ``file`` (Lightning) and, beside it, the weights with the suffix ``.safetensors``.

    ``module`` must be connected to the ``trainer``.

    Raises:
        OSError: the folder cannot be written or the disk is full; what was there is untouched.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.part")
    try:
        trainer.save_checkpoint(unfinished, weights_only=True)
        move_into_place(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
    export_weights(module, file.with_suffix(SAFETENSORS))


def export_weights(module: LightningModule, file: Path) -> None:
    """Write weights and buffers as safetensors, a format that can hold tensors and text alone.

    Its metadata are ``class`` (dotted name), ``hyperparameters`` (a JSON object) and
    ``hrfs_version``. A tensor under two names is written under both, so that
    ``load_state_dict(safetensors.torch.load_file(file))`` finds all of them. A module with a
    state that is no tensor cannot be written so: a line in the log says that it was not.

    Raises:
        OSError: the folder cannot be written or the disk is full; what was there is untouched.
    """
    state = module.state_dict()
    others = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others:
        log.warning("%s is not written: %s is no tensor", file.name, ", ".join(others))
        return
    tensors = {name: own_copy(value) for name, value in state.items()}
    metadata = {
        "format": "pt",  # as Hugging Face's readers want it
        "class": f"{type(module).__module__}.{type(module).__qualname__}",
        "hyperparameters": json.dumps(_as_json(module.hparams, file.name)),
        "hrfs_version": hrfs.__version__,
    }
    write_atomically(file, safetensors.torch.save(tensors, metadata))


def own_copy(tensor: torch.Tensor) -> torch.Tensor:
    """The same values on the CPU, in rows, and in memory of their own, as the format wants them."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _as_json(hyperparameters: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Those that JSON can hold; the log names the others."""
    kept = {}
    for name, value in plain_values(hyperparameters).items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            log.warning("%s lacks the hyperparameter %s (%s)", file, name, error)
        else:
            kept[name] = value
    return kept
