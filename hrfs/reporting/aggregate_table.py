"""An aggregate for people: a block for each group, as wide as the screen lets it be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hrfs.reporting.aggregate import TARGET, Aggregate, Figure, Group, target_of
from hrfs.reporting.runs_metrics import OF_THE_WHOLE_RUN, number
from hrfs.reporting.statistics import BCA, Estimate, T
from hrfs.reporting.words import seeds as seeds_in_words

MOST_BLOCKS = 8
"""More groups than this are told in one line each."""
_BRIEF = ("best", "winner", "test/acc", "makespan_s", "ratio")
_NAMES = {
    "makespan_s": "makespan (s)",
    "bound_s": "C* (s)",
    "ratio": "makespan / C*",
    "worker_h": "worker-hours",
}
_METHODS = {T: "Student's t", BCA: "BCa bootstrap"}
_ANY_WIDTH = 10_000
_WHOLE_FROM = 10_000
"""Numbers from here on are told without decimals, instead of as powers of ten."""

_Cells = Callable[[Figure], list[float | None]]


class AggregateTable:
    """What :mod:`rich` prints of an :class:`Aggregate`."""

    def __init__(self, found: Aggregate) -> None:
        self._found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        groups = self._found.groups
        if len(groups) > MOST_BLOCKS:
            yield Text(f"{len(groups)} groups of runs; the means over the seeds of each")
            yield _brief(groups)
        else:
            for group in groups:
                yield Text(_title(group), style="bold")
                yield _block(group, console, options)
                yield Text(_how(group) + "\n")
        for run in self._found.left_out:
            yield Text(f"left out: {run.folder}: {run.reason}")


def _title(group: Group) -> str:
    together = ", trained together" if group.runs[0].shared else ""
    return f"{group.name or 'all runs'}: {seeds_in_words(group.seeds)}{together}"


def _how(group: Group) -> str:
    """Where the intervals come from, and what the runs say together if seeds shared them."""
    methods = dict.fromkeys(_METHODS.get(f.estimate.method, "") for f in group.figures)
    used = " or ".join(filter(None, methods))
    lines = [f"95 % confidence interval of the mean by {used}"] if used else []
    for run in {run.folder: run for run in group.runs if run.shared}.values():
        told = run.summary
        lines.append(
            f"{run.folder} as a whole: makespan {_shown(number(told['makespan_s']))} s, "
            f"C* {_shown(number(told['bound_s']))} s, ratio {_shown(number(told['ratio']))}"
        )
    return "\n".join(lines)


def _block(group: Group, console: Console, options: ConsoleOptions) -> Table:
    """With a column for each seed or, where these would not fit, the least and the most."""
    headings = [f"seed {seed}" for seed in group.seeds]
    wide = _table(group, headings, lambda figure: list(figure.values.values()))
    room = options.max_width
    if Measurement.get(console, options.update(max_width=_ANY_WIDTH), wide).maximum <= room:
        return wide
    return _table(group, ["least", "most"], _least_and_most)


def _least_and_most(figure: Figure) -> list[float | None]:
    known = [value for value in figure.values.values() if value is not None]
    return [min(known, default=None), max(known, default=None)]


def _table(group: Group, headings: Sequence[str], cells: _Cells) -> Table:
    several = len(group.seeds) > 1
    summed = ["n", "mean", "std", "95 % interval"] if several else []
    table = _empty("", *summed, *headings)
    for figure in _told(group):
        told = figure.estimate
        sums = [str(told.n), _shown(told.mean), _shown(told.std), _interval(told)]
        values = [_shown(value) for value in cells(figure)]
        table.add_row(_label(figure.name, group), *(sums if several else []), *values)
    return table


def _told(group: Group) -> list[Figure]:
    """Without those that populations which trained together cannot have."""
    nobodys = OF_THE_WHOLE_RUN if group.runs[0].shared else ()
    return [figure for figure in group.figures if figure.name not in nobodys]


def _empty(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=index > 0)
    return table


def _interval(told: Estimate) -> str:
    if told.low is None:
        return told.method.removeprefix("none: ")
    return f"{_shown(told.low)} to {_shown(told.high)}"


def _label(name: str, group: Group) -> str:
    plan = group.runs[0].summary["plan"]
    if name in ("best", "winner"):
        return f"{name} {plan['metric']}"
    target = plan["target_score"] if name == TARGET else target_of(name)
    return f"time to {target:g} (s)" if target is not None else _NAMES.get(name, name)


def _brief(groups: Sequence[Group]) -> Table:
    known = {figure.name for group in groups for figure in group.figures}
    names = [name for name in _BRIEF if name in known]
    table = _empty("", "n", *(_NAMES.get(name, name) for name in names))
    for group in groups:
        means = {figure.name: figure.estimate.mean for figure in group.figures}
        cells = [_shown(means.get(name)) for name in names]
        table.add_row(group.name, str(len(group.seeds)), *cells)
    return table


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.4g}"
