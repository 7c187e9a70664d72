"""How one worker trains: what the configuration says, or for ``auto`` what was measured there."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest
from hrfs.training.capabilities import check_device, device_name
from hrfs.training.loaders import Batches
from hrfs.training.memory import memory_hint
from hrfs.training.probe import changes_for, choose
from hrfs.training.probe_cache import DamagedError, ProbeCache
from hrfs.training.probe_steps import StepMeter, same_randomness
from hrfs.training.settings import RunnerSettings, TrainerSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a worker trains by, and what of it the driver is to write down."""

    trainer: TrainerSettings
    """Nothing of it is ``auto``."""
    facts: Mapping[str, Any]
    """Plain values: ``device``, ``threads``, ``trainer``; ``probe`` if anything was ``auto``."""


class Decisions:
    """Those of one process, each made before the worker's first slice there."""

    def __init__(self, settings: RunnerSettings) -> None:
        self._settings = settings
        self._made: dict[WorkerInfo, Decision] = {}

    def of(self, request: SliceRequest, module: LightningModule, batches: Batches) -> Decision:
        """As :func:`decide` the first time, then the same again.

        Raises:
            ConfigError, MemoryError, RuntimeError: as of :func:`decide`, and out of memory.
        """
        worker = request.worker
        if worker not in self._made:
            with memory_hint(worker):
                self._made[worker] = decide(self._settings, request, module, batches)
        return self._made[worker]


def decide(
    settings: RunnerSettings, request: SliceRequest, module: LightningModule, batches: Batches
) -> Decision:
    """Settle what is ``auto`` for the worker of ``request``.

    What an earlier driver of the run was told by this worker holds; else what the cache of this
    machine has; else it is measured, with a copy of ``module``.

    Raises:
        ConfigError: the worker's device cannot do what is asked for.
    """
    asked, worker = settings.trainer, request.worker
    device = torch.device("cuda", 0) if worker.on_gpu else torch.device("cpu")
    check_device(asked, worker, device)
    probe: dict[str, Any] = {}
    chosen = asked
    if asked.undecided:
        earlier = settings.chosen.get(worker.name)
        if earlier is not None:
            chosen = asked.decided(earlier["trainer"])
            probe = {**earlier.get("probe", {}), "kept": "from before the run was resumed"}
        else:
            chosen, probe = _cached_or_measured(settings, request, module, batches, device)
        check_device(chosen, worker, device)
    facts = {"device": device_name(device), "threads": torch.get_num_threads()}
    return Decision(
        chosen, {**facts, "trainer": chosen.choice, **({"probe": probe} if probe else {})}
    )


def _cached_or_measured(
    settings: RunnerSettings,
    request: SliceRequest,
    module: LightningModule,
    batches: Batches,
    device: torch.device,
) -> tuple[TrainerSettings, dict[str, Any]]:
    asked, notes = settings.trainer, []
    cache = ProbeCache(_conditions(settings, request, batches, device))
    with cache.lock():
        try:
            kept = cache.read(asked)
        except DamagedError as error:
            notes.append(f"{error}; measured again")
            kept = None
        if kept is not None:
            return kept[0], {"source": str(cache.file), "tried": kept[1]}
        chosen, steps = choose(asked, changes_for(device), StepMeter(module, batches, request))
        tried = [one.to_dict() for one in steps]
        try:
            cache.write(chosen, tried)
        except OSError as error:
            notes.append(f"{cache.file} cannot be written: {error.strerror or error}")
    for note in notes:
        log.warning("%s", note)
    log.info("%s trains by %s, of %s", request.worker.name, chosen.choice, tried)
    return chosen, {"source": "measured", "tried": tried, **({"notes": notes} if notes else {})}


def _conditions(
    settings: RunnerSettings, request: SliceRequest, batches: Batches, device: torch.device
) -> dict[str, Any]:
    """All that the speed of a step follows from, as far as it is known."""
    with same_randomness():
        batch = next(iter(batches.for_slice(request.trial, request.from_iteration, 1, device)))
    return {
        "host": socket.gethostname(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "model": dict(settings.model),
        "batch": _shapes(batch),
        "torch": torch.__version__,
        "asked": settings.trainer.choice,
    }


def _shapes(nested: Any) -> Any:
    """The shapes and types of the tensors of a batch."""
    if isinstance(nested, Tensor):
        return [str(nested.dtype), *nested.shape]
    if isinstance(nested, Mapping):
        return {str(key): _shapes(value) for key, value in nested.items()}
    if isinstance(nested, (list, tuple)):
        return [_shapes(value) for value in nested]
    return type(nested).__name__
