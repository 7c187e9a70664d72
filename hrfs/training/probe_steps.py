"""Timing optimizer steps of a copy of a module: neither weights nor random states are touched."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from hrfs.experiment.slices import SliceRequest
from hrfs.training.loaders import Batches
from hrfs.training.modules import prepare
from hrfs.training.settings import TrainerSettings
from hrfs.training.trainer import SliceTrainer, quiet

STRETCHES = 3
"""Most of them. The fastest counts: what else the machine does only ever adds."""
STRETCH_S = 0.5
"""About how long one lasts."""
MOST_STEPS = 20
ENOUGH_S = 10.0
"""No further stretch begins then."""


class StepMeter:
    """Seconds of a step by given settings, on the batches that a slice would have.

    The steps go through Lightning as those of a slice do, on a copy of the module, so hooks of
    the user's own are called. The first step is not counted: it compiles, and chooses kernels.
    """

    def __init__(
        self,
        module: LightningModule,
        batches: Batches,
        request: SliceRequest,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """
        Args:
            request: its worker, trial and first iteration count.
            clock: seconds.
        """
        self._module = module
        self._batches = batches
        self._request = request
        self._clock = clock

    def __call__(self, settings: TrainerSettings) -> float:
        """See :func:`hrfs.training.probe.choose`."""
        with same_randomness(), quiet():
            fastest_s = self._measure(settings)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()
        return fastest_s

    def _measure(self, settings: TrainerSettings) -> float:
        module = copy.deepcopy(self._module)
        prepare(module, settings)
        request, trainer = self._request, SliceTrainer(self._request.worker, settings)
        self._batches.put_in_order(bool(settings.channels_last))

        def seconds_of(steps: int) -> float:
            timer, start = _Timer(self._clock), request.from_iteration
            training = self._batches.for_slice(request.trial, start, steps, trainer.device)
            trainer.fit(module, timer, training)
            return timer.seconds

        seconds_of(1)
        steps = max(1, min(MOST_STEPS, math.ceil(STRETCH_S / max(seconds_of(1), 1e-6))))
        stretches_s = [seconds_of(steps)]
        while len(stretches_s) < STRETCHES and sum(stretches_s) < ENOUGH_S:
            stretches_s.append(seconds_of(steps))
        return min(stretches_s) / steps


class _Timer(Callback):
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start_s = self._now_s(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds = self._now_s(pl_module) - self._start_s

    def _now_s(self, pl_module: LightningModule) -> float:
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        return self._clock()


@contextmanager
def same_randomness() -> Iterator[None]:
    """Leave the random states of torch, numpy and Python as they were."""
    of_numpy, of_python = np.random.get_state(), random.getstate()
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=list(gpus)):
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)
