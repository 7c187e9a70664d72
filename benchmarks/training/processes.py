"""A process for each way to train, and their turns."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

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
    """One way, warmed up, in a process of its own."""

    def __init__(self, way: str, case: object) -> None:
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
            if isinstance(figures, str):
                self.measured.failed = figures
            else:
                self.measured.rounds.append(figures)
        return time.perf_counter() - start_s

    def forget(self) -> None:
        """What came so far was for warming up."""
        self.measured.rounds.clear()

    def end(self) -> Measured:
        """End it, and give what it measured."""
        if not self.measured.failed:
            self._pipe.send(None)
            self.measured.told, self.measured.peak_mb = self._answer()
        self._pipe.close()
        self._process.join()
        return self.measured

    def _answer(self):  # type: ignore[no-untyped-def]
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise SystemExit(f"benchmarks.training: a process ended with {code}") from None


def _serve(pipe: Connection, way: str, case) -> None:  # type: ignore[no-untyped-def]
    """The process: build on the first message, then a round for each; None ends it."""
    import torch

    from hrfs.training.memory import memory_hint

    torch.set_num_threads(case.threads)
    if not case.on_gpu:
        _limit_memory()
    module, _, name = way.partition(":")
    trained = None
    with _fresh_cache():
        while (iterations := pipe.recv()) is not None:
            try:
                with memory_hint(case.worker):
                    trained = trained or getattr(import_module(module), name)(case)
                    pipe.send(trained.round(iterations))
            except (MemoryError, RuntimeError) as error:
                if "memory: lower" not in str(error):
                    raise
                pipe.send(NO_MEMORY)
                return
        assert trained is not None
        pipe.send((trained.told, _peak_mb(case.on_gpu)))


def _limit_memory() -> None:
    """Fail at an allocation, rather than have the kernel kill somebody."""
    info = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(info["MemAvailable"].split()[0]) * 1024
    allowed = max(SPARE_BYTES, available - SPARE_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


@contextmanager
def _fresh_cache() -> Iterator[None]:
    """What runs on this machine have chosen before does not count."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        yield


def _peak_mb(on_gpu: bool) -> float:
    import torch

    if on_gpu:
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
