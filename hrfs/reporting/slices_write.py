"""``slices.csv`` of a run that is over: the whole file at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from hrfs.experiment.records import SliceRecord
from hrfs.reporting.columns import FIXED_COLUMNS, HYPERPARAMETER_PREFIX, metric_column
from hrfs.reporting.slices_csv import cells_of, widen

_CHUNK = 1000


def encode_slices(records: Sequence[SliceRecord]) -> Iterator[bytes]:
    """The file that :class:`SliceCsv` would have written, in chunks of whole lines.

    Metrics and hyperparameters are in the order of their names.
    """
    metrics = sorted({name for record in records for name in record.metrics})
    values = sorted({name for record in records for name in record.hyperparameters})
    header = widen(
        FIXED_COLUMNS,
        [*map(metric_column, metrics), *(HYPERPARAMETER_PREFIX + name for name in values)],
    )
    yield _lines([header])
    for begin in range(0, len(records), _CHUNK):
        cells = map(cells_of, records[begin : begin + _CHUNK])
        yield _lines([[row.get(name, "") for name in header] for row in cells])


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()
