"""The population: a row per trial, the best score first."""

from __future__ import annotations

from rich.console import RenderableType

from hrfs.reporting.history import History
from hrfs.reporting.live.columns import Column, Grid
from hrfs.reporting.live.trends import POINTS, Trends
from hrfs.reporting.trial_table import (
    STYLES,
    VALUE_WIDTH,
    TrialRow,
    shown_hyperparameters,
    trial_rows,
)

SCORE = "score"


def trials_view(
    history: History, trends: Trends, now_s: float, width: int, most_rows: int
) -> RenderableType:
    """The trials in at most ``most_rows`` lines, the headings included.

    Of more trials than fit the best two thirds of the lines and the worst third are shown.
    """
    names = shown_hyperparameters(history)
    grid = Grid(_columns(history, names), width)
    rows = trial_rows(history, now_s)
    room = max(3, most_rows - 1)
    hidden = 0 if len(rows) <= room else len(rows) - room + 1
    top = len(rows) if not hidden else room - 1 - (room - 1) // 3
    for place, row in enumerate(rows):
        if place < top or place >= top + hidden:
            grid.add(_cells(history, trends, row, names), STYLES.get(row.status, ""))
        elif place == top:
            blank: dict[str, RenderableType] = dict.fromkeys(grid.keys, "")
            grid.add(blank | {"trial": "...", "status": f"{hidden} more"}, "dim")
    return grid.render()


def _columns(history: History, names: list[str]) -> list[Column]:
    several = len(history.plan.seeds) > 1
    return [
        Column("trial", 5, right=True),
        *([Column("seed", 5, leave_out=2, right=True)] if several else []),
        Column("status", 8),
        Column(SCORE, 8, right=True),
        Column("trend", POINTS, leave_out=3),
        Column("iterations", 11, leave_out=1, right=True),
        *(
            Column(name, VALUE_WIDTH, leave_out=4 + place, right=True, key=_key(name))
            for place, name in enumerate(names)
        ),
        Column("last exploit", 14, leave_out=2),
        Column("worker", 14, leave_out=9),
    ]


def _cells(
    history: History, trends: Trends, row: TrialRow, names: list[str]
) -> dict[str, RenderableType]:
    return {
        **dict(zip(map(_key, names), row.hyperparameters, strict=True)),
        "trial": str(row.trial),
        "seed": str(row.seed),
        "status": row.status,
        SCORE: "-" if row.score is None else f"{row.score:.4f}",
        "trend": trends.trend(row.trial),
        "iterations": f"{row.iterations}/{history.plan.stop_iterations}",
        "last exploit": trends.last_exploit(row.trial),
        "worker": row.worker[-14:],
    }


def _key(hyperparameter: str) -> str:
    """It may be called as one of our own columns."""
    return f"hp/{hyperparameter}"
