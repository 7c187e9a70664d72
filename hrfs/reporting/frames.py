"""Slices and trials as pandas frames."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import SliceRecord
from hrfs.reporting.cells import decode_number
from hrfs.reporting.columns import FIXED_COLUMNS, HYPERPARAMETER_PREFIX, metric_column

NULLABLE_INTEGER = "Int64"
"""Pandas' type for whole numbers of which some are missing."""

_TRIAL_COLUMNS: dict[str, Callable[[str], Any]] = {
    "trial": int,
    "seed": int,
    "status": str,
    "status_reason": str,
    "iterations": int,
    "best_score": decode_number,
    "best_iteration": lambda cell: int(cell) if cell else None,
    "last_score": decode_number,
    "lineage": str,
    "hyperparameters": json.loads,
    "exploits_taken": int,
    "exploits_given": int,
    "failures": int,
    "iterations_lost": int,
}
_ADDED_LATER = ("iterations_lost",)
"""Whole numbers that older files lack; they were 0."""
_SECONDS, _SLICES = "seconds/", "slices/"
_UNREADABLE = (ValueError, TypeError, KeyError, LookupError, RecursionError)


def slices_frame(records: Sequence[SliceRecord]) -> pd.DataFrame:
    """One row per slice, with the columns of ``slices.csv`` in their types.

    Shape (slices, columns): :data:`FIXED_COLUMNS`, then a column per metric and one, ``hp/<name>``,
    per hyperparameter, each in the order of its names. What a slice did not have is missing.
    """
    columns: dict[str, Any] = {
        name: [getattr(record, name) for record in records] for name in FIXED_COLUMNS
    }
    columns["parent"] = pd.array(columns["parent"], dtype=NULLABLE_INTEGER)
    columns["score"] = pd.array(columns["score"], dtype=float)
    for name in sorted({name for record in records for name in record.metrics}):
        values = [record.metrics.get(name) for record in records]
        columns[metric_column(name)] = pd.array(values, dtype=float)
    for name in sorted({name for record in records for name in record.hyperparameters}):
        columns[HYPERPARAMETER_PREFIX + name] = _as_they_are(
            [record.hyperparameters.get(name) for record in records]
        )
    return pd.DataFrame(columns)


def trials_frame(path: Path) -> pd.DataFrame:
    """One row per trial, with the columns of ``trials.csv`` in their types.

    ``hyperparameters`` is a list of ``[from_iteration, values]``, one item per change; the last
    values stand in columns of their own as well, ``hp/<name>``.

    Raises:
        ConfigError: there is no such file, or it is no ``trials.csv``.
    """
    rows = _rows(path)
    try:
        return _trials(rows)
    except _UNREADABLE as error:
        rule = f"is no trials.csv of a run ({type(error).__name__}: {error})"
        raise ConfigError("trials", path, rule, "take the file anew") from error


def empty_trials_frame() -> pd.DataFrame:
    """The frame of a run that has not written ``trials.csv``."""
    return _trials([list(_TRIAL_COLUMNS)])


def _rows(path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(path.read_bytes().decode())))
    except FileNotFoundError:
        raise ConfigError("trials", path, "there is no such file", "give a run's folder") from None
    except (UnicodeDecodeError, csv.Error) as error:
        rule = f"cannot be read as a table: {error}"
        raise ConfigError("trials", path, rule, "take the file anew") from error


def _trials(rows: Sequence[Sequence[str]]) -> pd.DataFrame:
    header, body = rows[0], [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    columns: dict[str, Any] = {}
    others = [name for name in header if name not in _TRIAL_COLUMNS]
    for name in (*_TRIAL_COLUMNS, *others):
        decode = _TRIAL_COLUMNS.get(name) or _of_kind(name)
        older = name not in header and name in _ADDED_LATER
        columns[name] = [0 if older else decode(row[name]) for row in body]
    last = [timeline[-1][1] if timeline else {} for timeline in columns["hyperparameters"]]
    columns["best_iteration"] = pd.array(columns["best_iteration"], dtype=NULLABLE_INTEGER)
    for name in ("best_score", "last_score"):
        columns[name] = pd.array(columns[name], dtype=float)
    for name in sorted({name for values in last for name in values}):
        columns[HYPERPARAMETER_PREFIX + name] = _as_they_are([v.get(name) for v in last])
    return pd.DataFrame(columns)


def _of_kind(column: str) -> Callable[[str], Any]:
    """How a column that is named after a kind of worker is read."""
    if column.startswith(_SECONDS):
        return float
    if column.startswith(_SLICES):
        return int
    raise KeyError(column)


def _as_they_are(values: list[Any]) -> pd.Series:
    """Numbers or words in the type that they share, else as objects."""
    return pd.Series(values, dtype=object).infer_objects()
