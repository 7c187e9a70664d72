"""What the device at hand can do; asked in the worker's process."""

from __future__ import annotations

import importlib.util

import torch

from hrfs.experiment.hardware import cpu_model
from hrfs.experiment.records import WorkerInfo
from hrfs.training.device_check import (
    CPU_PRECISIONS,
    OLD_GPU_PRECISIONS,
    check_worker,
    missing_compiler,
    refuse_compile,
    refuse_precision,
)
from hrfs.training.settings import AUTO, PRECISIONS, TrainerSettings

TRITON_CAPABILITY = (7, 0)
"""The least compute capability for which torch.compile writes kernels."""


def check_device(trainer: TrainerSettings, worker: WorkerInfo, device: torch.device) -> None:
    """Refuse what the worker's device cannot do.

    Raises:
        ConfigError: a number format or torch.compile, and what the device can do.
    """
    check_worker(trainer, worker)
    who = f"worker {worker.name}, {device_name(device)},"
    refuse_precision(trainer.precision, who, precisions_of(device))
    if trainer.compile not in (False, AUTO) and (why := cannot_compile(device)):
        refuse_compile(trainer.compile, who, why)


def precisions_of(device: torch.device) -> tuple[str, ...]:
    """Lightning's names of the number formats in which ``device`` computes by itself."""
    if device.type != "cuda":
        return CPU_PRECISIONS
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return PRECISIONS if bf16 else OLD_GPU_PRECISIONS


def cannot_compile(device: torch.device) -> str:
    """Why torch.compile cannot work for ``device``; empty if it can."""
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability < TRITON_CAPABILITY:
            return f"its compute capability is {'.'.join(map(str, capability))}, not 7.0"
        if importlib.util.find_spec("triton") is None:
            return "the package triton is not installed"
    return missing_compiler()


def device_name(device: torch.device) -> str:
    """The model of the processor or of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_model() or "a CPU"
