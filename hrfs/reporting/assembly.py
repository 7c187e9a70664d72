"""Puts the observers of a run together, and writes what is written when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrfs.experiment.launch import Outcome
from hrfs.experiment.observer import RunObserver
from hrfs.reporting.console import Console
from hrfs.reporting.failure_log import FailureLog
from hrfs.reporting.history import History
from hrfs.reporting.slices_csv import SliceCsv
from hrfs.reporting.summary import summarise, write_summary
from hrfs.reporting.tensorboard import TensorBoard, write_test_metrics
from hrfs.reporting.tensorboard_image import write_timeline
from hrfs.reporting.trials_csv import TrialsCsv
from hrfs.reporting.worker_facts import WorkerFacts

SLICES = "slices.csv"
TRIALS = "trials.csv"
SUMMARY = "summary.json"
FAILURES = "failures.log"
TENSORBOARD = "tensorboard"
ENVIRONMENT = "environment.json"


def make_observers(
    out_dir: Path, history: History, console_mode: str, every_s: float
) -> list[RunObserver]:
    """All observers of a run, ``history`` itself first: the others read it.

    Raises:
        ConfigError: ``console_mode`` or ``every_s`` cannot be.
    """
    return [
        history,
        SliceCsv(out_dir / SLICES, history.warn),
        TrialsCsv(out_dir / TRIALS, history),
        FailureLog(out_dir / FAILURES, history.warn),
        WorkerFacts(out_dir / ENVIRONMENT, history.warn),
        TensorBoard(out_dir / TENSORBOARD, history),
        Console(history, console_mode, every_s),
    ]


def write_final(
    out_dir: Path,
    history: History,
    test_metrics: Mapping[str, float],
    outcome: Outcome | None = None,
) -> dict[str, Any]:
    """Write ``trials.csv``, the test metrics' curve points and ``summary.json``; return the last.

    To be called after the run has ended and the winners were tested. A write that fails is a
    warning in the log and in the summary, not an error.
    """
    TrialsCsv(out_dir / TRIALS, history).write()
    if test_metrics:
        write_test_metrics(out_dir / TENSORBOARD, test_metrics, history)
    populations = outcome.populations if outcome and len(outcome.populations) > 1 else ()
    for number, population in enumerate(populations):
        if population.test_metrics:
            write_test_metrics(out_dir / TENSORBOARD, population.test_metrics, history, number)
    summary = summarise(history, test_metrics, outcome)
    write_summary(out_dir / SUMMARY, summary, history)
    write_timeline(out_dir, out_dir / TENSORBOARD, history)
    return summary
