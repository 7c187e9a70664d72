"""``python -m hrfs.summary``: what the runs of sweeps came to, from their files alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hrfs.cli.command import run_command
from hrfs.cli.sweep_arguments import Request, parse

HELP = """\
hrfs.summary: mean, spread and confidence interval over the seeds of each configuration.

usage: python -m hrfs.summary FOLDER [FOLDER ...] [key=value ...]

  FOLDER            of a sweep or of a run, such as multirun/2026-01-31/12-00-00
  out=DIR           where summary.json and summary.csv go; default the FOLDER, if it is one
                    sweep; of several folders nothing is written without it
  targets=0.5,0.8   scores to each of which the time is told as well
  format=table|json how the figures are printed; default table

examples:
  python -m hrfs.summary multirun/2026-01-31/12-00-00
  python -m hrfs.summary multirun/2026-01-31/* targets=0.9,0.95 out=results
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (``sys.argv`` by default) and exit; see :func:`run_command`."""
    run_command("hrfs.summary", HELP, arguments, lambda typed: run(parse(typed)))


def run(request: Request) -> None:
    """Read the runs, write the files and print the figures.

    Raises:
        ConfigError: anything that the user can mend.
    """
    from hrfs.reporting.aggregate import aggregate
    from hrfs.reporting.aggregate_files import as_json, check_target, write_aggregate
    from hrfs.reporting.aggregate_table import AggregateTable
    from hrfs.reporting.runs_files import is_run
    from hrfs.reporting.screen import make_screen

    out = request.out
    if out is None and len(request.folders) == 1 and not is_run(request.folders[0]):
        out = request.folders[0]
    if out is not None:
        check_target(out)
    found = aggregate(request.folders, request.targets)
    if out is not None:
        write_aggregate(out, found)
    screen = make_screen()
    if request.format == "json":
        told = as_json(found, out or request.folders[0])
        screen.out(json.dumps(told, indent=2, allow_nan=False), highlight=False)
        return
    screen.print(AggregateTable(found))
    written = f"files: {out}" if out else "nothing was written; out=DIR does that"
    screen.print(written, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
