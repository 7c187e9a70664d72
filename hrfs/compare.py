"""``python -m hrfs.compare``: schedulers held against each other, seed by seed, from files."""

from __future__ import annotations

from collections.abc import Sequence

from hrfs.cli.command import run_command
from hrfs.cli.compare_arguments import Request, parse

HELP = """\
hrfs.compare: runs that differ in one key, paired by seed, against a baseline.

usage: python -m hrfs.compare FOLDER [FOLDER ...] [key=value ...]

  FOLDER               of a sweep or of a run, such as multirun/2026-01-31/12-00-00
  by=scheduler.policy  the key in which the groups differ
  baseline=ray_pbt     its value in the group to compare with; default ray_pbt, else the first
  out=DIR              where comparison.json, .csv and .md go; without it nothing is written
  format=table|json|csv|markdown  how the figures are printed; default table

examples:
  python -m hrfs --multirun experiment=paper_emulated scheduler=hrfs,ray_pbt seed=0,1,2
  python -m hrfs.compare multirun/2026-01-31/12-00-00
  python -m hrfs.compare multirun/A multirun/B by=model.stem baseline=imagenet out=results
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (``sys.argv`` by default) and exit; see :func:`run_command`."""
    run_command("hrfs.compare", HELP, arguments, lambda typed: run(parse(typed)))


def run(request: Request) -> None:
    """Read the runs, write the files and print the figures.

    Raises:
        ConfigError: anything that the user can mend.
    """
    from hrfs.reporting.comparison import compare
    from hrfs.reporting.comparison_files import as_csv, json_text, write_comparison
    from hrfs.reporting.comparison_table import as_markdown, on_screen
    from hrfs.reporting.screen import make_screen

    found = compare(request.folders, request.by, request.baseline)
    if request.out is not None:
        write_comparison(request.out, found)
    screen = make_screen()
    if request.format == "table":
        screen.print(on_screen(found))
        return
    shapes = {"json": json_text, "csv": as_csv, "markdown": as_markdown}
    screen.out(shapes[request.format](found), highlight=False, end="")


if __name__ == "__main__":
    main()
