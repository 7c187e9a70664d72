"""What a kind of worker cannot do, as far as that is known without asking it; imports no torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import WorkerInfo
from hrfs.training.settings import AUTO, PRECISIONS, RunnerSettings, TrainerSettings

CPU_PRECISIONS = tuple(name for name in PRECISIONS if name != "16-mixed")
"""Gradients in float16 need a scaled loss, which Lightning has on GPUs alone."""
WITHOUT_BF16 = ("K80", "P4", "P100", "V100", "T4")
"""Ray's names of GPUs from before bfloat16."""
OLD_GPU_PRECISIONS = ("32-true", "64-true", "16-mixed")
CXX, DEFAULT_CXX = "CXX", "g++"
"""The environment variable that names the compiler which torch.compile calls, and its default."""


def check_workers(settings: Mapping[str, Any], workers: Sequence[WorkerInfo]) -> None:
    """Refuse a run of which some worker could not train a step.

    Args:
        settings: as for :func:`hrfs.training.runner.build`.
        workers: those that are there.

    Raises:
        ConfigError: the first worker that cannot, and what it can do.
    """
    trainer = RunnerSettings.from_plain(settings).trainer
    for worker in workers:
        check_worker(trainer, worker)


def check_worker(trainer: TrainerSettings, worker: WorkerInfo) -> None:
    """Refuse a number format that is not for the kind of this worker.

    Raises:
        ConfigError: what the worker can do instead.
    """
    model = worker.kind.partition(":")[2]
    if not worker.on_gpu:
        refuse_precision(trainer.precision, f"worker {worker.name}, a CPU,", CPU_PRECISIONS)
    elif model in WITHOUT_BF16:
        refuse_precision(trainer.precision, f"worker {worker.name}, a {model},", OLD_GPU_PRECISIONS)


def refuse_precision(precision: str, who: str, can_do: Sequence[str]) -> None:
    """Raise :class:`ConfigError` unless ``precision`` is ``auto`` or one of ``can_do``."""
    if precision != AUTO and precision not in can_do:
        raise ConfigError(
            "trainer.precision",
            precision,
            f"{who} can do {', '.join(can_do)}",
            f"{AUTO} takes what is fast on each worker",
        )


def check_compiler(trainer: TrainerSettings) -> None:
    """Refuse ``trainer.compile`` on a machine that has no compiler; for the driver's own machine.

    Raises:
        ConfigError: which compiler was looked for.
    """
    if trainer.compile not in (False, AUTO) and (missing := missing_compiler()):
        refuse_compile(trainer.compile, "this machine", missing)


def missing_compiler() -> str:
    """Why torch.compile cannot translate what it writes; empty if it can."""
    wanted = os.environ.get(CXX, DEFAULT_CXX)
    return "" if shutil.which(wanted) else f"there is no C++ compiler {wanted}"


def refuse_compile(mode: bool | str, who: str, why: str) -> None:
    """Raise :class:`ConfigError` for ``trainer.compile``."""
    rule = f"{who} can train without compiling only: {why}"
    remedy = f"install one, set {CXX} to its path, or use trainer.compile=false"
    raise ConfigError("trainer.compile", str(mode).lower(), rule, remedy)
