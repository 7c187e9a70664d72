"""Trials that sleep in place of training: what remains is the hand-over."""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.experiment.checkpoint import read_checkpoint, write_checkpoint
from hrfs.experiment.cluster import ClusterSettings, EmulatedWorker
from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord
from hrfs.experiment.slices import SliceRequest
from hrfs.reporting import History, make_observers
from hrfs.tuning.population import fit_population, make_run_config
from hrfs.tuning.resume import StateCallback
from hrfs.tuning.scheduler import HRFSScheduler
from hrfs.tuning.session import cluster
from hrfs.tuning.trainable import SliceTrainable

SLICE_S = 0.2
"""Work of a slice. A run's slices take seconds: workers seldom end at the same moment."""
COLUMNS = (
    "loggers", "state MB", "workers", "slices", "processes", "median", "p90", "save", "load",
)  # fmt: skip
LOGGERS = ("none", "hrfs", "tune")


class Idle(SliceTrainable):
    """Sleeps in place of training, and carries a state of the wanted size."""

    def begin(self, trial: int) -> None:
        """Random bytes, which no file system can shrink."""
        size = int(self.config["state_mb"] * 2**20)
        self.state = np.random.default_rng(trial).bytes(size)

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """Note when the slice began and ended."""
        began_s = time.monotonic()
        time.sleep(SLICE_S)
        return {
            "score": float(request.trial),
            "began_s": began_s,
            "ended_s": time.monotonic(),
            "process": os.getpid(),
        }

    def save_state(self, folder: Path) -> None:
        """As a trial's checkpoint: checksum, atomic, flushed to the disk."""
        write_checkpoint(folder / "state", self.state)

    def load_state(self, folder: Path) -> None:
        """Verified."""
        self.state = read_checkpoint(folder / "state")


class _Keep(Observer):
    def __init__(self) -> None:
        self.records: list[SliceRecord] = []

    def on_slice(self, record: SliceRecord) -> None:
        self.records.append(record)


def measure(state_mb: float, slices: int, workers: int, loggers: str) -> list[SliceRecord]:
    """Run about ``slices`` slices over ``workers`` workers and return their records."""
    trials = 4 * workers
    iterations = max(2, slices // trials)
    settings = ClusterSettings(
        mode="emulated",
        emulated=tuple(EmulatedWorker(f"worker-{i}", "cpu") for i in range(workers)),
    )
    plan = Plan(
        trials=trials,
        stop_iterations=iterations,
        interval_iterations=1,
        search_space={"lr": Hyperparameter(Uniform(0.0, 1.0))},
        metric="score",
    )
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "0" if loggers == "tune" else "1"
    keep = _Keep()
    with tempfile.TemporaryDirectory() as folder, cluster(settings):
        ours = make_observers(Path(folder), History(), "quiet", 60.0) if loggers != "none" else []
        scheduler = HRFSScheduler(plan, "hrfs_paper", settings, [keep, *ours])
        config = make_run_config(Path(folder), [StateCallback(scheduler)])
        fit_population(Idle, plan, {"state_mb": state_mb}, scheduler, config)
    return keep.records


def handovers_s(records: list[SliceRecord]) -> list[float]:
    """Seconds between the slices of each process, but for the first of all, which is cold."""
    processes: dict[float, list[SliceRecord]] = {}
    for record in records:
        processes.setdefault(record.metrics["process"], []).append(record)
    return [
        after.metrics["began_s"] - before.metrics["ended_s"]
        for own in processes.values()
        for before, after in itertools.pairwise(sorted(own, key=lambda r: r.metrics["began_s"])[1:])
    ]


def row(records: list[SliceRecord]) -> list[str]:
    """Slices, processes, then milliseconds."""
    gaps = handovers_s(records)
    parts = [statistics.median(getattr(r, part) for r in records) for part in ("save_s", "load_s")]
    milliseconds = [statistics.median(gaps), statistics.quantiles(gaps, n=10)[-1], *parts]
    processes = len({r.metrics["process"] for r in records})
    return [str(len(records)), str(processes), *(f"{1000 * value:.1f}" for value in milliseconds)]


def table(states_mb: list[float], slices: int, workers: int, loggers: list[str]) -> Table:
    """One row per kind of loggers and size of the state."""
    printed = Table(title="hand-over, milliseconds")
    for column in COLUMNS:
        printed.add_column(column, justify="right")
    for kind, state_mb in itertools.product(loggers, states_mb):
        records = measure(state_mb, slices, workers, kind)
        printed.add_row(kind, f"{state_mb:g}", str(workers), *row(records))
    return printed
