"""``slices.csv``: one line per finished slice, from which every figure can be made again.

Columns: the seven of ``SLICE_COLUMNS``; ``worker_kind, score, reason, parent, load_s,
train_s, evaluate_s, save_s, wait_s``; one per metric under its own name (under
``metric/<name>`` if that name is taken); one per hyperparameter as ``hp/<name>``. Numbers are
written with ``repr`` and so read back exactly. An empty cell is None, or a metric or
hyperparameter that the slice did not have; ``nan`` is NaN. A record is always one line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from hrfs.experiment.files import append, write_atomically
from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord, WorkerInfo
from hrfs.reporting.cells import encode_number, encode_value, format_line, one_line
from hrfs.reporting.columns import (
    FIXED_COLUMNS,
    HYPERPARAMETER_PREFIX,
    PART_COLUMNS,
    metric_column,
)
from hrfs.reporting.durable import Warn, WriteGuard, log_warning
from hrfs.reporting.slices_read import whole_rows


def cells_of(record: SliceRecord) -> dict[str, str]:
    """The record as cells by column."""
    cells = {
        "slice": str(record.slice),
        "trial": str(record.trial),
        "worker": one_line(record.worker),
        "start_s": encode_number(record.start_s),
        "end_s": encode_number(record.end_s),
        "from_iteration": str(record.from_iteration),
        "to_iteration": str(record.to_iteration),
        "worker_kind": one_line(record.worker_kind),
        "score": encode_number(record.score),
        "reason": one_line(record.reason),
        "parent": "" if record.parent is None else str(record.parent),
    }
    cells |= {part: encode_number(getattr(record, part)) for part in PART_COLUMNS}
    cells |= {metric_column(name): encode_number(v) for name, v in record.metrics.items()}
    for name, value in record.hyperparameters.items():
        cells[HYPERPARAMETER_PREFIX + name] = encode_value(value)
    return cells


def widen(header: Sequence[str], columns: Sequence[str]) -> list[str]:
    """``header`` with the missing ``columns``: metrics before hyperparameters, else as met."""
    names = [*header, *(name for name in columns if name not in header)]
    rest = [name for name in names if name not in FIXED_COLUMNS]
    is_hyperparameter = [name.startswith(HYPERPARAMETER_PREFIX) for name in rest]
    metrics = [name for name, is_hp in zip(rest, is_hyperparameter, strict=True) if not is_hp]
    values = [name for name, is_hp in zip(rest, is_hyperparameter, strict=True) if is_hp]
    return [*FIXED_COLUMNS, *metrics, *values]


class SliceCsv(Observer):
    """Writes ``path`` line by line; a run that is killed leaves whole lines.

    A file that is there already is gone on with (a restored run); a torn last line is cut.
    """

    def __init__(self, path: Path, warn: Warn = log_warning) -> None:
        self.path = path
        self._guard = WriteGuard(path, warn)
        self._started = False
        self._header = list(FIXED_COLUMNS)
        self._pending: list[dict[str, str]] = []
        self._size = 0
        """Bytes of the file that are known to be whole lines."""

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        """Write the header.

        Raises:
            ConfigError: ``path`` exists and is no ``slices.csv``.
        """
        self._started = True
        columns = [HYPERPARAMETER_PREFIX + name for name in sorted(plan.search_space)]
        self._header = widen(FIXED_COLUMNS, columns)
        self._guard.attempt(self._flush)

    @property
    def fault(self) -> str:
        """Why the file does not hold everything yet; empty if it does."""
        return self._guard.fault

    def on_slice(self, record: SliceRecord) -> None:
        self._pending.append(cells_of(record))
        self._guard.attempt(self._flush)

    def on_end(self, time_s: float) -> None:
        if self._started:
            self._guard.attempt(self._flush)

    def _flush(self) -> None:
        if self._size == 0:
            self._begin()
        columns = [column for cells in self._pending for column in cells]
        header = widen(self._header, columns)
        if header != self._header:
            self._rewrite(header, self._written_rows())
        lines = "".join(
            format_line([cells.get(name, "") for name in self._header]) for cells in self._pending
        )
        if lines:
            self._size = append(self.path, self._size, lines.encode())
            self._pending.clear()

    def _begin(self) -> None:
        if self.path.exists():
            rows, _ = whole_rows(self.path)
            self._rewrite(widen(rows[0], self._header), rows)
        else:
            self._rewrite(self._header, [])

    def _written_rows(self) -> list[list[str]]:
        text = self.path.read_bytes()[: self._size].decode()
        return list(csv.reader(io.StringIO(text)))

    def _rewrite(self, header: list[str], rows: Sequence[Sequence[str]]) -> None:
        """Write the file anew, atomically: ``header``, then ``rows``, the first of them the old
        header. Nothing is changed if that fails.
        """
        lines = [format_line(header)]
        for row in rows[1:]:
            cells = dict(zip(rows[0], row, strict=True))
            lines.append(format_line([cells.get(name, "") for name in header]))
        data = "".join(lines).encode()
        write_atomically(self.path, data)
        self._header, self._size = header, len(data)
