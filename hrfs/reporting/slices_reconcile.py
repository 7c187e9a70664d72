"""``slices.csv`` of a run that goes on: made to say what the event log says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.experiment.records import SliceRecord
from hrfs.reporting.cells import encode_number
from hrfs.reporting.slices_read import whole_rows
from hrfs.reporting.slices_write import encode_slices

Told = tuple[str, str, str, str]
"""Slice, trial, end in seconds and last iteration of a row, as they are written."""


def reconcile(path: Path, records: Sequence[SliceRecord]) -> str:
    """Write ``path`` anew if its rows are not those of ``records``, in their order.

    A crash may leave rows of slices that never became part of the run, or lose rows of slices
    that did.

    Returns:
        What was wrong, in words; empty if nothing was.

    Raises:
        OSError: the file cannot be written; it is untouched.
    """
    wanted = [_told(record) for record in records]
    found, fault = _rows(path)
    if found == wanted and not fault:
        return ""
    write_atomically(path, encode_slices(records))
    beyond, missing = set(found) - set(wanted), set(wanted) - set(found)
    parts = [
        fault,
        f"{len(beyond)} rows too many" if beyond else "",
        f"{len(missing)} rows missing" if missing else "",
    ]
    return ", ".join(part for part in parts if part) or "rows in another order"


def _told(record: SliceRecord) -> Told:
    end_s = encode_number(record.end_s)
    return str(record.slice), str(record.trial), end_s, str(record.to_iteration)


def _rows(path: Path) -> tuple[list[Told], str]:
    """The rows that can be read, and what keeps the file from being gone on with."""
    if not path.exists():
        return [], "there was no file"
    try:
        rows, torn = whole_rows(path)
    except ConfigError as error:
        return [], f"it could not be read ({error.rule})"
    header = rows[0]
    at = [header.index(name) for name in ("slice", "trial", "end_s", "to_iteration")]
    told = [(row[at[0]], row[at[1]], row[at[2]], row[at[3]]) for row in rows[1:]]
    return told, "a torn line" if torn else ""
