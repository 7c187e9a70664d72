"""Reading ``slices.csv`` back, also one whose run was killed in the middle of a line."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import SLICE_COLUMNS, SliceRecord
from hrfs.reporting.cells import decode_number, decode_value
from hrfs.reporting.columns import (
    FIXED_COLUMNS,
    HYPERPARAMETER_PREFIX,
    METRIC_PREFIX,
    PART_COLUMNS,
)

_log = logging.getLogger("hrfs")


def read_slices(path: Path) -> list[SliceRecord]:
    """All whole records of a ``slices.csv``, exactly as they were written.

    The first seven columns are enough. A torn last line is left out and said in the log.

    Raises:
        ConfigError: there is no such file, it is no ``slices.csv``, or a line cannot be read.
    """
    records, torn = read_whole_slices(path)
    if torn:
        _log.warning("%s: left out 1 truncated line at its end", path)
    return records


def read_whole_slices(path: Path) -> tuple[list[SliceRecord], int]:
    """As :func:`read_slices`, with the number of torn lines left out (0 or 1) and no word of it.

    Raises:
        ConfigError: as :func:`read_slices`.
    """
    rows, torn = whole_rows(path)
    header = rows[0]
    records = [
        _record(dict(zip(header, row, strict=True)), path, number)
        for number, row in enumerate(rows[1:], start=2)
    ]
    return records, torn


def whole_rows(path: Path) -> tuple[list[list[str]], int]:
    """Header and rows of ``path``, and the number of torn lines left out (0 or 1).

    Raises:
        ConfigError: as :func:`read_slices`.
    """
    try:
        whole, _, rest = path.read_bytes().rpartition(b"\n")
        text = whole.decode()  # the rest may end within a character
    except FileNotFoundError:
        raise ConfigError("slices", path, "there is no such file", "give a run's folder") from None
    except UnicodeDecodeError as error:
        raise _foreign(path) from error
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        rule = f"cannot be read as a table: {error}"
        raise ConfigError("slices", path, rule, "take the file anew") from error
    if not rows or tuple(rows[0][: len(SLICE_COLUMNS)]) != SLICE_COLUMNS:
        raise _foreign(path)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            rule = f"line {number} has {len(row)} cells where the header has {len(rows[0])}"
            raise ConfigError("slices", path, rule, "remove that line or take the file anew")
    return rows, int(bool(rest))


def _foreign(path: Path) -> ConfigError:
    columns = ", ".join(SLICE_COLUMNS)
    rule = f"is no slices.csv: its first line must begin with the columns {columns}"
    return ConfigError("slices", path, rule, "give the slices.csv of a run")


def _record(cells: Mapping[str, str], path: Path, number: int) -> SliceRecord:
    try:
        return SliceRecord(**_fields(cells))
    except ValueError as error:
        rule = f"line {number} cannot be read: {error}"
        raise ConfigError("slices", path, rule, "remove that line or take the file anew") from error


def _fields(cells: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "slice": int(cells["slice"]),
        "trial": int(cells["trial"]),
        "worker": cells["worker"],
        "start_s": float(cells["start_s"]),
        "end_s": float(cells["end_s"]),
        "from_iteration": int(cells["from_iteration"]),
        "to_iteration": int(cells["to_iteration"]),
        "worker_kind": cells.get("worker_kind", ""),
        "score": decode_number(cells.get("score", "")),
        "reason": cells.get("reason", ""),
        "parent": int(cells["parent"]) if cells.get("parent") else None,
    }
    fields |= {part: float(cells[part]) for part in PART_COLUMNS if cells.get(part)}
    others = {name: cell for name, cell in cells.items() if name not in FIXED_COLUMNS and cell}
    fields["hyperparameters"] = {
        name.removeprefix(HYPERPARAMETER_PREFIX): decode_value(cell)
        for name, cell in others.items()
        if name.startswith(HYPERPARAMETER_PREFIX)
    }
    fields["metrics"] = {
        name.removeprefix(METRIC_PREFIX): float(cell)
        for name, cell in others.items()
        if not name.startswith(HYPERPARAMETER_PREFIX)
    }
    return fields
