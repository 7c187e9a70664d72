"""``python -m hrfs.report``: one page on a run, or on several side by side, from files alone."""

from __future__ import annotations

from collections.abc import Sequence

from hrfs.cli.command import run_command
from hrfs.cli.report_arguments import Request, parse

HELP = """\
hrfs.report: what happened in a run, as one page that can be sent to a colleague.

usage: python -m hrfs.report FOLDER [FOLDER ...] [key=value ...]

  FOLDER              of a run or of a sweep; one run is told at length, also one that is still
                      going or was killed; several are put side by side
  out=DIR             where the files go; default the FOLDER, of several it must be given
  figures=true|false  whether the figures are drawn as PNG and SVG as well; default true

writes report.html, report_figures/ and, of one run, winner_schedule.json; needs the libraries of
the extra: pip install 'hrfs[report]'

examples:
  python -m hrfs.report outputs/2026-01-31/12-00-00
  python -m hrfs.report multirun/2026-01-31/12-00-00 figures=false
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (``sys.argv`` by default) and exit; see :func:`run_command`."""
    run_command("hrfs.report", HELP, arguments, lambda typed: run(parse(typed)))


def run(request: Request) -> None:
    """Read the runs, write the files and say which.

    Raises:
        ConfigError: anything that the user can mend.
    """
    from hrfs.reporting.report import contents, require_libraries, write_report
    from hrfs.reporting.screen import make_screen

    require_libraries(request.figures)
    told = contents(request.folders)
    files = write_report(request.out, told, request.figures)
    screen = make_screen()
    for note in told.notes:
        screen.print(note, markup=False, soft_wrap=True)
    page = files[-1]
    drawn = sum(file.suffix in (".png", ".svg") for file in files)
    others = [f"{file.name}" for file in files[:-1] if file.suffix == ".json"]
    also = [*others, *([f"{drawn} figures in {files[-2].parent.name}/"] if drawn else [])]
    beside = f", and beside it {', '.join(also)}" if also else ""
    screen.print(f"report: {page}{beside}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
