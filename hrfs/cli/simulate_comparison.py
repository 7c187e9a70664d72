"""A real run and its replays side by side, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hrfs.cli.simulate_summary import size
from hrfs.reporting.words import number

MOST_KINDS = 3
"""With more kinds of workers than this, their hours are left to ``format=json``."""


def comparison(compared: Mapping[str, Any]) -> RenderableType:
    """The table and its notes, from what :func:`hrfs.cli.simulate_replay.replay` returns."""
    rows = compared["rows"]
    told = size(compared["populations"], compared["trials"], compared["workers"])
    title = f"{compared['run']}, {told}, {compared['scheduler']}"
    parts: list[RenderableType] = [Text(title), Text(), _table(rows, _kinds(rows))]
    if compared["notes"]:
        parts += [Text(), *(Text(note) for note in compared["notes"])]
    return Group(*parts)


def _kinds(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Kinds that have a column: none if there is one alone, or too many."""
    kinds = list(dict.fromkeys(kind for row in rows for kind in row["worker_hours_by_kind"]))
    return kinds if 2 <= len(kinds) <= MOST_KINDS else []


def _table(rows: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what if", overflow="fold")
    hours = [f"{kind or 'other'} h" for kind in kinds]
    for name in ("workers", "trials", "makespan s", "change", "C* s", "ratio", "worker h", *hours):
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        what = row["what"].replace(", ", ",").replace(",", ", ")  # where long ones are folded
        table.add_row(
            Text(what),
            str(row["workers"]),
            str(row["trials"]),
            number(row["makespan_s"]),
            "-" if row["change"] is None else f"{100 * row['change']:+.1f} %",
            number(row["bound_s"]),
            number(row["ratio"]),
            number(row["worker_hours"], 3),
            *(number(row["worker_hours_by_kind"].get(kind, 0.0), 3) for kind in kinds),
        )
    return table
