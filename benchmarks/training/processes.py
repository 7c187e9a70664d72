"""A process for each way to train, and their turns."""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.training.case import Case, Way
from hrfs.experiment.slices import resolve_name
from hrfs.training.memory import memory_hint

WAYS = {
    "original": "benchmarks.training.original:Original",
    "bare": "benchmarks.training.bare:Bare",
    "slice": "benchmarks.training.slices:Slices",
}
SPARE_BYTES = 2**30
"""What is left to the rest of the machine."""
NO_MEMORY = "out of memory"


@dataclass(slots=True)
class Measured:
    """What one way gave. ``failed`` says why it gave nothing."""

    rounds: list[Mapping[str, float]] = field(default_factory=list)
    told: str = ""
    peak_mb: float = 0.0
    failed: str = ""


class Process:
    """One way to train in a process of its own, which builds it when its first round is due."""

    def __init__(self, way: str, case: Case) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, WAYS[way], case), daemon=True)
        self._process.start()
        theirs.close()
        self.measured = Measured()

    def round(self, iterations: int) -> float:
        """Let it train and keep the figures; gives the seconds that it took in all."""
        start_s = time.perf_counter()
        if not self.measured.failed:
            self._pipe.send(iterations)
            figures = self._answer()
            if figures == NO_MEMORY:
                self.measured.failed = NO_MEMORY
            else:
                self.measured.rounds.append(figures)
        return time.perf_counter() - start_s

    def end(self) -> Measured:
        """End it, and give what it measured."""
        if not self.measured.failed:
            self._pipe.send(None)
            self.measured.told, self.measured.peak_mb = self._answer()
        self._pipe.close()
        self._process.join()
        return self.measured

    def _answer(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:  # its traceback is on the screen
            self._process.join()
            code = self._process.exitcode
            raise SystemExit(f"benchmarks.training: a process ended with code {code}") from None


def _serve(pipe: Connection, name: str, case: Case) -> None:
    """The process: a round for each number of iterations that comes, until None does."""
    torch.set_num_threads(case.threads)
    make = resolve_name(name)
    if not case.on_gpu:
        _limit_memory()
    way: Way | None = None
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # what runs here have chosen before does not count
        while (iterations := pipe.recv()) is not None:
            try:
                with memory_hint(case.worker):
                    way = way or make(case)
                    pipe.send(way.round(iterations))
            except (MemoryError, RuntimeError) as error:
                if "memory: lower" not in str(error):
                    raise
                pipe.send(NO_MEMORY)
                return
        pipe.send((way.told if way else "", _peak_mb(case.on_gpu)))


def _limit_memory() -> None:
    """Fail at an allocation, rather than have the kernel end some process of the machine."""
    info = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(info["MemAvailable"].split()[0]) * 1024
    allowed = max(SPARE_BYTES, available - SPARE_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


def _peak_mb(on_gpu: bool) -> float:
    if on_gpu:
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # KiB on Linux
