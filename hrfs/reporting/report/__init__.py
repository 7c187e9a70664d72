"""The report: one page for a run or for several, figures for papers, the winner's schedule.

``reading`` reads the files, ``lineage`` follows weights through exploits, ``charts_*`` and
``several`` say what the figures show, ``to_plotly`` and ``to_matplotlib`` draw them, ``page`` and
``writing`` put them into files.
"""

from hrfs.reporting.report.writing import contents, require_libraries, write_report

__all__ = ["contents", "require_libraries", "write_report"]
