"""The end of a sweep: its figures, and how its jobs ended, both from their files alone.

The jobs may have run in other processes and on other machines, so nothing that they left in
memory is asked for.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.text import Text

from hrfs.cli.sweep import Sweep
from hrfs.experiment.errors import EXIT_INTERRUPTED, ConfigError
from hrfs.reporting.aggregate import Aggregate, summed_up
from hrfs.reporting.aggregate_files import write_aggregate
from hrfs.reporting.aggregate_table import AggregateTable
from hrfs.reporting.runs import Gathered, gather, refuse_repeats
from hrfs.reporting.screen import make_screen

ALL_FINISHED = 0
SOME_FAILED = 1


def conclude(sweep: Sweep) -> int:
    """Write and print what the finished jobs came to; name the others. Gives the exit code.

    The sweep's folder must be known and hold a run.
    """
    assert sweep.folder is not None
    try:
        gathered = gather([sweep.folder])
        found = summed_up(gathered, [sweep.folder])
        if found.groups:
            refuse_repeats(gathered.runs)
            write_aggregate(sweep.folder, found)
    except ConfigError as fault:
        print(f"hrfs: the jobs are not summed up: {fault}", file=sys.stderr)
        return SOME_FAILED
    _show(found, sweep.folder, sweep.console)
    return exit_code(gathered)


def exit_code(gathered: Gathered) -> int:
    """0 if all jobs finished, 1 if one failed or gave up, else 130: one was interrupted."""
    statuses = {run.status for run in gathered.runs}
    if gathered.left_out or "gave up" in statuses:
        return SOME_FAILED
    return ALL_FINISHED if statuses <= {"finished"} else EXIT_INTERRUPTED


def _show(found: Aggregate, folder: Path, console: str) -> None:
    screen = make_screen()
    files = f"files: {folder}" if found.groups else f"no job has finished in {folder}"
    try:
        if console != "quiet":
            screen.print()
            screen.print(AggregateTable(found))
        screen.print(Text(files), soft_wrap=True)
    except BrokenPipeError:
        return  # the reader has seen enough; the files are written
