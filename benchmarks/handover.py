"""How long a worker stands between two slices, and how many processes a run starts.

    python -m benchmarks.handover                 # without state and with 100 MB
    python -m benchmarks.handover --loggers none hrfs tune --state-mb 0

A hand-over is the time from the end of a slice (its evaluation done) to the first iteration
of the next slice on the same worker, as the worker's own clock sees it: the state is saved, the
result goes to the driver, the scheduler decides, the next trial arrives with its state. Loggers:
``hrfs`` are those of a run (CSV, TensorBoard, console), ``tune`` are Ray Tune's own (CSV, JSON,
TensorBoard) beside them. Nearly every slice is of another trial than the one before.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.conditions import conditions
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


def main() -> None:
    """Print one row per state size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state-mb", type=float, nargs="+", default=[0.0, 100.0])
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--loggers", nargs="+", choices=LOGGERS, default=["hrfs"])
    options = parser.parse_args()
    table = Table(title="hand-over, milliseconds")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    told = conditions("ray", "numpy")
    for loggers, state_mb in itertools.product(options.loggers, options.state_mb):
        records = measure(state_mb, options.slices, options.workers, loggers)
        table.add_row(loggers, f"{state_mb:g}", str(options.workers), *row(records))
    Console().print(table, told)


def row(records: list[SliceRecord]) -> list[str]:
    """Slices, processes, then milliseconds."""
    gaps = handovers_s(records)
    parts = [statistics.median(getattr(r, part) for r in records) for part in ("save_s", "load_s")]
    milliseconds = [statistics.median(gaps), statistics.quantiles(gaps, n=10)[-1], *parts]
    processes = len({r.metrics["process"] for r in records})
    return [str(len(records)), str(processes), *(f"{1000 * value:.1f}" for value in milliseconds)]


if __name__ == "__main__":
    main()
