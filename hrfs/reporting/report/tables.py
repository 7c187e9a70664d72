"""What stands in the report as tables: headings and rows of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hrfs.reporting.aggregate import Aggregate, Figure, Group
from hrfs.reporting.comparison import Comparison
from hrfs.reporting.comparison_table import blocks, closing_notes
from hrfs.reporting.words import number, seeds


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table. The first column names the row."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def everything(summary: Mapping[str, Any]) -> Sheet:
    """All of a ``summary.json``: its keys, dotted, and their values as they are written."""
    return Sheet("Everything in summary.json", ("key", "value"), tuple(_leaves(summary)))


def _leaves(value: Any, key: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{key}[{index}]")
    elif isinstance(value, list):
        yield key, ", ".join(map(str, value)) or "-"
    else:
        yield key, "-" if value is None or value == {} else str(value)


def of_groups(found: Aggregate) -> list[Sheet]:
    """For each group of runs its figures: mean, spread and interval over the seeds."""
    headings = ("", "n", "mean", "std", "95 % interval", "of it", "values by seed")
    return [
        Sheet(
            f"{group.name or 'All runs'}: {seeds(group.seeds)}",
            headings,
            tuple(_row(figure) for figure in group.figures),
            _paths(group),
        )
        for group in found.groups
    ]


def _row(figure: Figure) -> tuple[str, ...]:
    told = figure.estimate
    known = told.low is not None and told.high is not None
    interval = f"{number(told.low)} to {number(told.high)}" if known else "-"
    values = ", ".join(f"{seed}: {number(value)}" for seed, value in figure.values.items())
    n = str(told.n) if told.n == figure.of else f"{told.n} of {figure.of}"
    return figure.name, n, number(told.mean), number(told.std), interval, told.method, values


def _paths(group: Group) -> tuple[str, ...]:
    return ("Folders: " + ", ".join(str(folder) for folder in group.folders),)


def of_comparison(found: Comparison) -> list[Sheet]:
    """Each contender against the baseline, as ``hrfs.compare`` prints it."""
    made = []
    for block in blocks(found):
        notes = (*block.notes, *closing_notes(found))
        for index, sheet in enumerate(block.sheets):
            last = index == len(block.sheets) - 1
            title = block.title if index == 0 else f"Workers: {block.title}"
            made.append(Sheet(title, sheet.headings, sheet.rows, notes if last else ()))
    return made
