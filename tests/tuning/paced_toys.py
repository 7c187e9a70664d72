"""Runners whose pace depends on their worker; imported by workers' processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toys import Adder

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.slices import SliceRequest, SliceResult


class Paced(Adder):
    """Adds up like :class:`~toys.Adder`; ``seconds_by_cpus`` says how long an iteration takes.

    The first slice of a process takes a second more, as the first slices of real ones do.
    Each slice leaves a line in the file ``log``. With ``fails_on`` CPUs it raises.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(0.0)
        self.settings = settings
        self.fresh = True

    def run(self, request: SliceRequest) -> SliceResult:
        """Note, wait, add."""
        cpus = request.worker.cpus
        if cpus == self.settings.get("fails_on"):
            raise MemoryError("planted: too large for this worker")
        if cpus == self.settings.get("refuses_on"):
            raise ConfigError("model.width", 3, "must be even")
        with Path(self.settings["log"]).open("a") as log:
            log.write(f"{request.trial} {request.worker.name} {request.iterations}\n")
        begin_s = time.perf_counter()
        time.sleep(float(self.fresh))
        self.fresh = False
        time.sleep(request.iterations * self.settings["seconds_by_cpus"][cpus])
        train_s = time.perf_counter() - begin_s
        time.sleep(self.settings.get("evaluate_s", 0.0))
        evaluate_s = time.perf_counter() - begin_s - train_s
        self.value += request.iterations * request.hyperparameters["lr"]
        return SliceResult({"score": self.value}, train_s=train_s, evaluate_s=evaluate_s)


def build_paced(settings: Mapping[str, Any]) -> Paced:
    """A runner factory."""
    return Paced(settings)
