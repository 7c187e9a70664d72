"""Where the values of a hyperparameter are placed on an axis: numbers, words and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hrfs.experiment.records import SliceRecord
from hrfs.reporting.cells import plain
from hrfs.reporting.report.chart import Axis
from hrfs.reporting.runs_metrics import LARGEST

LOG_FROM = 30.0
"""Largest / smallest value from which positive numbers are drawn on a logarithmic axis."""
MOST_CATEGORIES = 30


@dataclass(frozen=True, slots=True)
class Scale:
    """How the values of one hyperparameter are placed on an axis."""

    log: bool
    places: Mapping[str, int] | None
    """Of words and the like, by their text; None for numbers."""

    def place(self, value: Any) -> float | None:
        """Where the value is; None if it has no place."""
        if self.places is not None:
            at = self.places.get(text_of(value))
            return None if at is None else float(at)
        return float(value) if _is_number(value) else None

    def axis(self, title: str) -> Axis:
        """The axis with its ticks."""
        if self.places is None:
            return Axis(title, log=self.log)
        return Axis(title, [(float(at), text[:24]) for text, at in self.places.items()])


def scale_of(values: Sequence[Any]) -> Scale:
    """Numbers as they are or by their logarithm; of anything else every value one step."""
    known = [value for value in values if value is not None]
    if known and all(_is_number(value) for value in known):
        low, high = min(known), max(known)
        return Scale(low > 0 and high / low >= LOG_FROM, None)
    texts = sorted({text_of(value) for value in values})[:MOST_CATEGORIES]
    return Scale(False, {text: at for at, text in enumerate(texts)})


def _is_number(value: Any) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and abs(value) <= LARGEST  # which NaN is not


def text_of(value: Any) -> str:
    """By which values that are no numbers are told apart."""
    return str(plain(value))


def varied(records: Sequence[SliceRecord]) -> list[str]:
    """Names of the hyperparameters that were not the same in all slices, in order."""
    names = sorted({name for record in records for name in record.hyperparameters})
    return [
        name
        for name in names
        if len({text_of(record.hyperparameters.get(name)) for record in records}) > 1
    ]
