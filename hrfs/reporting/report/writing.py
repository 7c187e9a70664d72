"""The report's files: one page, its figures for papers, and the winner's schedule."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.experiment.schedule import encode_schedule
from hrfs.reporting.report.contents import Contents, of_run, of_several
from hrfs.reporting.report.page import Page, html
from hrfs.reporting.runs import find_runs

REPORT = "report.html"
FIGURES = "report_figures"
"""Folder of the PNG and SVG files, beside the page."""
LIBRARIES = {"plotly": "plotly", "matplotlib": "matplotlib"}
"""Module to the package that has it; both are in the extra ``report``."""


def require_libraries(figures: bool = True) -> None:
    """Make sure that what draws is installed.

    Args:
        figures: whether PNG and SVG are wanted, which matplotlib draws.

    Raises:
        ConfigError: a library is missing.
    """
    for module, package in LIBRARIES.items():
        if (figures or module != "matplotlib") and find_spec(module) is None:
            rule = f"needs {package}, which is not installed"
            raise ConfigError("report", REPORT, rule, "pip install 'hrfs[report]'")


def contents(folders: Sequence[Path]) -> Contents:
    """What the report on the runs at or below ``folders`` says; one run is told at length.

    Raises:
        ConfigError: no folder, no run in it, one of a newer format, or a file that is damaged.
    """
    runs = find_runs(folders)
    return of_run(runs[0]) if len(runs) == 1 else of_several(folders)


def write_report(folder: Path, told: Contents, figures: bool = True) -> list[Path]:
    """Write everything into ``folder``, each file whole or not at all, and return the files.

    Args:
        figures: whether PNG and SVG are drawn.

    Raises:
        ConfigError: a library is missing, or the folder cannot be written.
    """
    require_libraries(figures)
    files: dict[Path, bytes] = {}
    links: list[tuple[str, str]] = []
    for name, schedule in told.schedules.items():
        files[folder / name] = encode_schedule(schedule).encode()
        links.append((name, "schedule of the winner's hyperparameters"))
    if figures:
        from hrfs.reporting.report.to_matplotlib import draw  # slow to import

        for chart in told.charts:
            for suffix, data in draw(chart).items():
                name = f"{FIGURES}/{chart.key}.{suffix}"
                files[folder / name] = data
                links.append((name, f"{chart.title}, {suffix.upper()}"))
    files[folder / REPORT] = _page(told, links).encode()
    try:
        for path, data in files.items():
            write_atomically(path, data)
    except OSError as error:
        rule = f"cannot be written ({error.strerror or error})"
        raise ConfigError("out", folder, rule, "choose another folder with out=") from error
    return list(files)


def _page(told: Contents, links: Sequence[tuple[str, str]]) -> str:
    from plotly.offline import get_plotlyjs

    page = Page(told.title, told.subtitle, told.facts, told.notes, told.charts, told.sheets, links)
    return html(page, get_plotlyjs())
