"""The table of trials while the run is under way, like the paper's Reporter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hrfs.reporting.estimate import expected_remaining_s
from hrfs.reporting.history import History, TrialHistory
from hrfs.reporting.words import clock, ending, headline, number

MOST_HYPERPARAMETERS = 3
"""Columns that fit a hundred characters; the rest is in the files."""

VALUE_WIDTH = 9

STYLES = {"running": "green", "finished": "cyan", "failed": "bold red", "waiting": "dim"}


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial at one moment, as the table shows it."""

    trial: int
    seed: int
    """That of its population."""
    status: str
    worker: str
    hyperparameters: tuple[str, ...]
    batch: str
    score: float | None
    iterations: int
    seconds: float


def shown_hyperparameters(history: History) -> list[str]:
    """Names of the mutated hyperparameters (of all, if none is), without the batch size."""
    space = history.plan.search_space
    mutated = [name for name in sorted(space) if space[name].mutation is not None]
    names = [name for name in mutated or sorted(space) if name != "batch_size"]
    return names[:MOST_HYPERPARAMETERS]


def trial_rows(history: History, now_s: float) -> list[TrialRow]:
    """A row per trial, best score first, those without a score last, else by number."""
    names = shown_hyperparameters(history)
    running = {start.trial: start for start in history.running.values()}
    default_batch = history.plan.labels.get("batch_size")
    rows = []
    for trial in history.trials.values():
        start = running.get(trial.trial)
        held_s = max(0.0, now_s - start.start_s) if start else 0.0
        values = trial.hyperparameters
        rows.append(
            TrialRow(
                trial=trial.trial,
                seed=history.plan.populations.identity(trial.trial)[0],
                status="running" if start else _resting(trial, history.plan.stop_iterations),
                worker=start.worker if start else "",
                hyperparameters=tuple(number(values.get(name)) for name in names),
                batch=number(values.get("batch_size", default_batch)),
                score=trial.last_score,
                iterations=trial.iterations,
                seconds=trial.seconds + held_s,
            )
        )
    sign = -1.0 if history.plan.mode == "max" else 1.0
    return sorted(rows, key=lambda row: (*_rank(row.score, sign), row.trial))


def _resting(trial: TrialHistory, stop_iterations: int) -> str:
    words = {"unfinished": "waiting", "error": "failed"}
    status = trial.status(stop_iterations)
    return words.get(status, status)


def _rank(score: float | None, sign: float) -> tuple[int, float]:
    if score is None:
        return 2, 0.0
    return (0, sign * score) if math.isfinite(score) else (1, 0.0)


def progress(history: History, now_s: float, most_rows: int) -> RenderableType:
    """Headline, resources and the table; in the middle left out beyond ``most_rows``."""
    parts: list[RenderableType] = []
    title = headline(history.plan)
    if title:
        parts.append(Text(title, style="bold", overflow="ellipsis", no_wrap=True))
    return Group(*parts, Text(_resources(history, now_s)), _table(history, now_s, most_rows))


def _resources(history: History, now_s: float) -> str:
    present = [worker for name, worker in history.workers.items() if name in history.present]
    free = [worker for worker in present if worker.name not in history.running]
    cpus = f"{sum(w.cpus for w in free):g}/{sum(w.cpus for w in present):g} CPUs"
    gpus = f"{sum(w.gpus for w in free):g}/{sum(w.gpus for w in present):g} GPUs"
    left = expected_remaining_s(history, now_s)
    states = [history.worker_states.get(worker.name, ("", ""))[0] for worker in present]
    retired = states.count("retired")
    parts = [
        f"free {cpus}, {gpus}",
        *([f"retired {retired}"] if retired else []),
        f"exploits {len(history.exploits)}",
        f"failures {len(history.failures)}",
        f"elapsed {clock(now_s)}",
        f"left about {clock(left)}",
    ]
    return "  ".join(parts)


def _table(history: History, now_s: float, most_rows: int) -> Table:
    names = shown_hyperparameters(history)
    worker_width = 24 if len(names) < MOST_HYPERPARAMETERS else 14
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    several = len(history.plan.seeds) > 1
    _add_column(table, "trial", most=5, right=True)
    if several:
        _add_column(table, "seed", most=6, right=True)
    _add_column(table, "status", most=8)
    _add_column(table, "worker", most=worker_width)
    for name in names:
        _add_column(table, name, most=VALUE_WIDTH, right=True)
    for name in ("batch", history.plan.metric, "iterations", "seconds"):
        _add_column(table, name, most=10, right=True)
    rows = trial_rows(history, now_s)
    left_out = max(0, len(rows) - most_rows)
    top = most_rows - most_rows // 3 if left_out else len(rows)
    for place, row in enumerate(rows):
        if place < top or place >= top + left_out:
            cells = _cells(row, worker_width, several)
            table.add_row(*cells, style=STYLES.get(row.status, ""))
        elif place == top:
            table.add_row("...", *([""] if several else []), f"{left_out} more", style="dim")
    return table


def _add_column(table: Table, name: str, most: int, right: bool = False) -> None:
    """A column of one line per cell, as wide as its name at least and ``most`` at most."""
    table.add_column(
        name,
        justify="right" if right else "left",
        no_wrap=True,
        overflow="ellipsis",
        min_width=min(len(name), most),
        max_width=most,
    )


def _cells(row: TrialRow, worker_width: int, with_seed: bool) -> list[str]:
    score = "-" if row.score is None else f"{row.score:.4f}"
    return [
        str(row.trial),
        *([str(row.seed)] if with_seed else []),
        row.status,
        ending(row.worker, worker_width),
        *row.hyperparameters,
        row.batch,
        score,
        str(row.iterations),
        f"{row.seconds:.1f}",
    ]
