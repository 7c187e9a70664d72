"""Values as CSV cells and JSON: exact both ways, each on one line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


def plain(value: Any) -> Any:
    """``value`` with numpy scalars, tuples and odd objects turned into what JSON knows.

    An object that JSON has no form for becomes its ``str``. NaN and infinity stay.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    item = getattr(value, "item", None)  # numpy scalars, without importing numpy
    return plain(item()) if callable(item) else str(value)


def strict(value: Any) -> Any:
    """As :func:`plain`, with NaN and infinity as None: strict JSON has no tokens for them."""
    return _without_nan(plain(value))


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value


def one_line(text: str) -> str:
    """``text`` with line breaks turned into spaces, so that a record stays one line."""
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text


def encode_number(value: float | None) -> str:
    """``repr`` of the number (``nan`` and ``inf`` included); empty for None."""
    return "" if value is None else repr(float(value))


def decode_number(cell: str) -> float | None:
    """Inverse of :func:`encode_number`.

    Raises:
        ValueError: ``cell`` is neither empty nor a number.
    """
    return float(cell) if cell else None


def encode_value(value: Any) -> str:
    """A hyperparameter as a cell: JSON, except for words that JSON would not read otherwise.

    So ``0.1`` is a number, ``relu`` a word and ``"0.1"`` a word that looks like a number.
    """
    value = plain(value)
    if isinstance(value, str) and value and value.isprintable() and not _reads_as_json(value):
        return value
    return json.dumps(value)


def decode_value(cell: str) -> Any:
    """Inverse of :func:`encode_value` (tuples come back as lists)."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def format_line(cells: Sequence[str]) -> str:
    """One CSV line with its line end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
