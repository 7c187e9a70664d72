"""``trials.csv``: one line per trial, what became of it and on which workers.

``lineage`` says where the trial's weights come from: ``3<-7@150<-2@100`` reads "trial 3 took
over the weights of trial 7 at iteration 150, which had taken over those of trial 2 at 100".
``seed`` is that of the trial's population. ``hyperparameters`` is a JSON list of
``[from_iteration, values]``, one item per change.
``status`` is ``finished``, ``stopped`` (ended before its last iteration), ``error`` or
``unfinished``; ``status_reason`` says why. ``seconds/<kind>`` and ``slices/<kind>`` count the
slices that ended with a result. ``iterations`` counts each iteration once; ``iterations_lost`` are
those that had to be done again, since a checkpoint could not be read.
"""

from __future__ import annotations

import json
from pathlib import Path

from hrfs.experiment.files import write_atomically
from hrfs.experiment.observer import Observer
from hrfs.experiment.records import SliceRecord
from hrfs.reporting.cells import encode_number, format_line, one_line, strict
from hrfs.reporting.durable import WriteGuard
from hrfs.reporting.history import History, TrialHistory

REFRESH_S = 30.0
"""Seconds of run time after which a running run's file is written anew."""


def lineage_text(trial: TrialHistory) -> str:
    """``3<-7@150<-2@100``, newest first; the trial's number alone if its weights are its own."""
    return str(trial.trial) + "".join(f"<-{donor}@{at}" for donor, at in trial.lineage)


def kinds_seen(history: History) -> list[str]:
    """Kinds of the workers, in order of arrival, then kinds known from records alone."""
    names = [worker.kind for worker in history.workers.values()]
    for trial in history.trials.values():
        names += trial.slices_by_kind
    return list(dict.fromkeys(names))


def trials_table(history: History) -> str:
    """The whole file as text."""
    kinds = kinds_seen(history)
    plan = history.plan
    rows = [
        _cells(trial, plan.populations.identity(trial.trial)[0], plan.stop_iterations)
        for trial in history.trials.values()
    ]
    header = [*_cells(TrialHistory(0, {}), 0, 1)]
    lines = [format_line([*header, *_kind_columns(kinds)])]
    for trial, cells in zip(history.trials.values(), rows, strict=True):
        seconds = [encode_number(trial.seconds_by_kind.get(kind, 0.0)) for kind in kinds]
        slices = [str(trial.slices_by_kind.get(kind, 0)) for kind in kinds]
        lines.append(format_line([*cells.values(), *seconds, *slices]))
    return "".join(lines)


def _kind_columns(kinds: list[str]) -> list[str]:
    return [f"seconds/{kind}" for kind in kinds] + [f"slices/{kind}" for kind in kinds]


def _cells(trial: TrialHistory, seed: int, stop_iterations: int) -> dict[str, str]:
    best = trial.best
    return {
        "trial": str(trial.trial),
        "seed": str(seed),
        "status": trial.status(stop_iterations),
        "status_reason": one_line(trial.end_reason),
        "iterations": str(trial.iterations),
        "best_score": encode_number(best.score if best else None),
        "best_iteration": str(best.to_iteration) if best else "",
        "last_score": encode_number(trial.last_score),
        "lineage": lineage_text(trial),
        "hyperparameters": json.dumps(strict(trial.timeline)),
        "exploits_taken": str(trial.exploits_taken),
        "exploits_given": str(trial.exploits_given),
        "failures": str(trial.failures),
        "iterations_lost": str(trial.lost_iterations),
    }


class TrialsCsv(Observer):
    """Writes ``path`` every :data:`REFRESH_S` seconds and at the end, each time atomically."""

    def __init__(self, path: Path, history: History) -> None:
        self._path = path
        self._history = history
        self._guard = WriteGuard(path, history.warn)
        self._due_s = 0.0

    @property
    def fault(self) -> str:
        """Why the file does not hold everything yet; empty if it does."""
        return self._guard.fault

    def on_slice(self, record: SliceRecord) -> None:
        self.on_tick(record.end_s)

    def on_tick(self, time_s: float) -> None:
        if self._history.started and time_s >= self._due_s and self.write():
            self._due_s = time_s + REFRESH_S

    def on_end(self, time_s: float) -> None:
        if self._history.started:
            self.write()

    def write(self) -> bool:
        """Write the file now; False if that failed, which is logged and no error."""
        text = trials_table(self._history)
        return self._guard.attempt(lambda: write_atomically(self._path, text))
