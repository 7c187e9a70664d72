"""Real training: which part of a slice is hand-over, by the run's own ``slices.csv``."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.experiment.cluster import ClusterSettings, EmulatedWorker
from hrfs.experiment.launch import RunnerSpec, SchedulerChoice
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord
from hrfs.reporting import History, make_observers, read_slices, write_environment
from hrfs.reporting.columns import PART_COLUMNS
from hrfs.tuning.run import run_experiment

TRIALS = 2
POLICY = "greedy"
"""Gives the least advanced trial a whole interval: a change of trial at every slice."""
BUDGET = 0.08
"""Part of a slice that a hand-over may take on a CPU."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is trained. ``threads`` are the worker's, ``slices`` an even number of them."""

    network: str
    stem: str | None
    batch: int
    iterations: int
    slices: int
    samples: int
    threads: int


def settings_of(work: Work) -> dict[str, Any]:
    """As the command line would hand them to a worker."""
    model = {
        "_target_": "hrfs.training.module.ImageClassifier",
        "network": work.network, "stem": work.stem, "num_classes": 10, "channels": 3,
    }  # fmt: skip
    dataset = {
        "_target_": "hrfs.training.data.ImageData", "name": "synthetic",
        "samples": work.samples, "num_classes": 10, "channels": 3, "image_size": 32,
        "batch_size": work.batch,
    }  # fmt: skip
    return {"model": model, "dataset": dataset, "trainer": {}, "seed": 0}


def measure(work: Work) -> list[SliceRecord]:
    """Run the slices and return their records, by time."""
    plan = Plan(
        trials=TRIALS,
        stop_iterations=work.iterations * work.slices // TRIALS,
        interval_iterations=work.iterations,
        search_space={"lr": Hyperparameter(Uniform(0.01, 0.02))},
        metric="val/acc",
    )
    worker = EmulatedWorker("worker-0", "cpu", 1.0, work.threads)
    cluster = ClusterSettings(mode="emulated", emulated=(worker,))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_environment(folder / "environment.json")  # which workers add to
        run_experiment(
            plan,
            SchedulerChoice(POLICY),
            cluster,
            RunnerSpec("hrfs.training.runner:build", settings_of(work)),
            folder,
            make_observers(folder, History(), "quiet", 60.0),
        )
        return sorted(read_slices(folder / "slices.csv"), key=lambda record: record.start_s)


def handed_over(records: Sequence[SliceRecord]) -> list[SliceRecord]:
    """Those that took up what another slice had saved, on a worker that had another trial."""
    return [
        after
        for before, after in itertools.pairwise(records)
        if after.from_iteration > 0 and after.trial != before.trial
    ]


def share_of_handover(records: Sequence[SliceRecord]) -> float:
    """Part of the slices' time that was neither training nor evaluation."""
    worked_s = sum(record.train_s + record.evaluate_s for record in records)
    return 1 - worked_s / sum(record.duration_s for record in records)


def table(work: Work, records: Sequence[SliceRecord]) -> Table:
    """Seconds and share of each part of a slice, and the budget."""
    kept = handed_over(records)
    printed = Table(
        title=f"{work.network}, {len(kept)} slices of {work.iterations} iterations of "
        f"batch {work.batch}, {work.threads} threads"
    )
    for column in ("part", "median s", "least", "most", "share"):
        printed.add_column(column, justify="right")
    whole_s = sum(record.duration_s for record in kept)
    for part in PART_COLUMNS:
        seconds = [float(getattr(record, part)) for record in kept]
        told = statistics.median(seconds), min(seconds), max(seconds)
        share = sum(seconds) / whole_s
        printed.add_row(part.removesuffix("_s"), *(f"{s:.3f}" for s in told), f"{share:.1%}")
    printed.add_section()
    whole = [record.duration_s for record in kept]
    told = statistics.median(whole), min(whole), max(whole)
    printed.add_row("slice", *(f"{s:.3f}" for s in told), "100.0%")
    share, budget = share_of_handover(kept), f"at most {BUDGET:.0%}"
    printed.add_row("hand-over", "", "", budget, f"{share:.1%}")
    return printed
