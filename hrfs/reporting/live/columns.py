"""Tables that leave out columns where the terminal is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Column:
    """One column, ``width`` characters wide.

    Of the columns that do not fit the one with the highest ``leave_out`` goes first; those with 0
    stay, whatever comes.
    """

    name: str
    width: int
    leave_out: int = 0
    right: bool = False
    key: str = ""
    """What its cells are called, if not as the column."""

    @property
    def cell(self) -> str:
        """Key of its cells."""
        return self.key or self.name


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit ``width`` characters with a space between any two."""
    kept = list(columns)
    while sum(column.width + 1 for column in kept) - 1 > width:
        least = max(kept, key=lambda column: column.leave_out)
        if least.leave_out == 0:
            break
        kept.remove(least)
    return kept


class Grid:
    """A table of rows, each given as one cell per column key.

    Args:
        columns: what there is to show, in this order.
        width: characters that the table may take.
    """

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        self._columns = fitting(columns, width)
        self._table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
        for column in self._columns:
            self._table.add_column(
                column.name,
                justify="right" if column.right else "left",
                no_wrap=True,
                overflow="ellipsis",
                min_width=min(column.width, len(column.name)),
                max_width=column.width,
            )

    @property
    def keys(self) -> list[str]:
        """Keys of the columns that are shown."""
        return [column.cell for column in self._columns]

    def add(self, cells: dict[str, RenderableType], style: str = "") -> None:
        """A row; cells of columns that are left out are not used."""
        self._table.add_row(*(cells[key] for key in self.keys), style=style)

    def render(self) -> RenderableType:
        """The table as rich prints it."""
        return self._table


def left_out(count: int, what: str) -> Text:
    """The line that stands for rows that did not fit."""
    return Text(f"... {count} more {what}", style="dim", no_wrap=True, overflow="ellipsis")
