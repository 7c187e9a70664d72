"""Processes that train at the same time, as the workers of one machine do.

Each has a slice runner of its own and does slices one after the other for as long as it is told.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from hrfs.experiment.cores import CoreShare
from hrfs.experiment.pinning import Pinning
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest

VALUES = {"lr": 0.01, "momentum": 0.9}


@dataclass(frozen=True, slots=True)
class Order:
    """What one process is to do."""

    worker: WorkerInfo
    iterations: int
    """Of a slice."""
    seconds: float
    share: CoreShare | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What it did. ``cores`` is empty if it was free to use any."""

    iterations: int
    seconds: float
    cores: str


def settings(network: str, stem: str, batch: int, precision: str) -> dict[str, Any]:
    """Of a runner, as the command line would hand them to a worker."""
    return {
        "model": {
            "_target_": "hrfs.training.module.ImageClassifier",
            "network": network, "stem": stem, "num_classes": 10, "channels": 3,
        },
        "dataset": {
            "_target_": "hrfs.training.data.ImageData", "name": "synthetic", "num_classes": 10,
            "samples": 20 * batch, "channels": 3, "image_size": 32, "batch_size": batch,
        },
        "trainer": {"precision": precision, "validation_samples": batch},
        "seed": 0,
    }  # fmt: skip


class Team:
    """Processes that wait for orders."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def train(self, orders: Sequence[Order]) -> list[Done]:
        """Have as many processes as there are orders train at the same time; the others wait.

        Each does a slice untimed, and none begins before all are ready.
        """
        busy = self._pipes[: len(orders)]
        for pipe, order in zip(busy, orders, strict=True):
            pipe.send(order)
        for pipe in busy:
            pipe.recv()
        for pipe in busy:
            pipe.send(None)
        return [pipe.recv() for pipe in busy]


@contextmanager
def team(size: int, runner: Mapping[str, Any]) -> Iterator[Team]:
    """``size`` processes with runners of these settings; they end with the context."""
    spawn = multiprocessing.get_context("spawn")
    ends = [spawn.Pipe() for _ in range(size)]
    processes = [
        spawn.Process(target=_serve, args=[there, dict(runner)], daemon=True) for _, there in ends
    ]
    for process, (_, there) in zip(processes, ends, strict=True):
        process.start()
        there.close()  # so that the death of the process ends our waiting
    try:
        yield Team([here for here, _ in ends])
    finally:
        for process in processes:
            process.kill()
            process.join()


def _serve(pipe: Connection, settings: Mapping[str, Any]) -> None:
    from hrfs.training.runner import build

    runner, pinning, done = build(settings), Pinning(), 0
    runner.begin(0)

    def slice_of(order: Order) -> None:
        nonlocal done
        runner.run(SliceRequest(done, 0, done, order.iterations, order.worker, VALUES))
        done += order.iterations

    while True:
        order: Order = pipe.recv()
        pinning.release()
        pinning.take(order.share)
        slice_of(order)
        pipe.send("ready")
        pipe.recv()
        begin, start_s = done, time.perf_counter()
        while time.perf_counter() - start_s < order.seconds:
            slice_of(order)
        pipe.send(Done(done - begin, time.perf_counter() - start_s, pinning.told))
