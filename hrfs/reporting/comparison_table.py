"""A comparison for people: the same sheets on a screen and in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hrfs.reporting.comparison import Comparison, Contest
from hrfs.reporting.comparison_pairs import Paired
from hrfs.reporting.statistics import BCA, Estimate, T
from hrfs.reporting.words import number, share

_NAMES = {
    "makespan_s": "time to same budget (s)",
    "best": "best score",
    "winner": "winner's last score",
    "iterations": "iterations done",
    "ratio": "makespan / C*, workers used",
}
_METHODS = {T: "Student's t", BCA: "BCa bootstrap"}
_SHARES = ("utilisation",)
_WHOLE_FROM = 10_000
"""Numbers from here on are told without decimals, instead of as powers of ten."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as text; the first column is for names, the others for numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One contest as text."""

    title: str
    sheets: tuple[Sheet, ...]
    notes: tuple[str, ...]


def blocks(found: Comparison) -> list[Block]:
    """One for each contest, in their order."""
    return [
        Block(
            title=f"{contest.contender} against {found.baseline}: {_seeds(contest.seeds)}",
            sheets=(_results(contest, found), _workers(contest, found)),
            notes=tuple(_contest_notes(contest, found)),
        )
        for contest in found.contests
    ]


def on_screen(found: Comparison) -> RenderableType:
    """For :mod:`rich`."""
    parts: list[RenderableType] = []
    for block in blocks(found):
        parts.append(Text(block.title, style="bold"))
        for sheet in block.sheets:
            parts += [_rich(sheet), Text()]
        parts += [*(Text(note) for note in block.notes), Text()]
    return Group(*parts, *(Text(note) for note in closing_notes(found)))


def as_markdown(found: Comparison) -> str:
    """The whole comparison as a Markdown document without a heading of the first level."""
    lines: list[str] = []
    for block in blocks(found):
        lines += [f"## {block.title}", ""]
        for sheet in block.sheets:
            lines += [*_markdown(sheet), ""]
        lines += [*(f"- {note}" for note in block.notes), ""]
    lines += [f"- {note}" for note in closing_notes(found)]
    return "\n".join(lines).rstrip() + "\n"


def _results(contest: Contest, found: Comparison) -> Sheet:
    headings = ("", contest.contender, found.baseline, "difference", "times as fast", "p")
    rows = [_row(figure, contest, found) for figure in contest.figures]
    cluster = contest.cluster
    if cluster.bound_s is not None:
        name = "makespan / C*, all workers"
        cells = _shown(cluster.mine_ratio), _shown(cluster.theirs_ratio)
        rows.append((name, *cells, "", "", ""))
    return Sheet(headings, tuple(rows))


def _row(figure: Paired, contest: Contest, found: Comparison) -> tuple[str, ...]:
    shown = share if figure.metric in _SHARES else _shown
    name = _NAMES.get(figure.metric, figure.metric)
    if figure.metric == "time_to_target_s":
        name = f"time to {number(found.target)} (s)"
    if len(figure.seeds) < len(contest.seeds):
        name += f", {_pairs(len(figure.seeds))}"
    ratio = "" if figure.ratio is None else _with_interval(figure.ratio, _shown)
    p = "-" if figure.test.p is None else f"{figure.test.p:.2g}"
    means = shown(figure.mine.mean), shown(figure.theirs.mean)
    return name, *means, _with_interval(figure.difference, shown), ratio, p


def _shown(value: float | None) -> str:
    if value is not None and abs(value) >= _WHOLE_FROM:
        return f"{value:.0f}"
    return number(value)


def _with_interval(told: Estimate, shown: Callable[[float | None], str]) -> str:
    if told.low is None:
        return shown(told.mean)
    low, high = (shown(float(f"{end:.3g}")) for end in (told.low, told.high))
    return f"{shown(told.mean)} [{low}, {high}]"


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count} pairs"


def _workers(contest: Contest, found: Comparison) -> Sheet:
    sides = contest.contender, found.baseline
    headings = (
        "worker",
        "kind",
        *(f"{side} {what}" for side in sides for what in ("busy", "idle")),
    )
    rows = [
        (w.name, w.kind, *_busy_and_idle(w.mine), *_busy_and_idle(w.theirs))
        for w in contest.workers
    ]
    return Sheet(headings, tuple(rows))


def _busy_and_idle(busy: float | None) -> tuple[str, str]:
    return share(busy), share(None if busy is None else max(0.0, 1 - busy))


def _contest_notes(contest: Contest, found: Comparison) -> list[str]:
    notes = []
    methods = dict.fromkeys(_METHODS.get(f.difference.method, "") for f in contest.figures)
    used = " or ".join(filter(None, methods))
    if used:
        notes.append(
            f"In brackets: 95 % confidence interval by {used}, of the paired differences and, for "
            "times, of the mean log ratio."
        )
    notes.append(_about_p(contest))
    if contest.reached is not None:
        my, their = contest.reached
        notes.append(
            f"{number(found.target)} was reached by {contest.contender} in {my} of "
            f"{len(contest.seeds)} seeds, by {found.baseline} in {their}."
        )
    if contest.cluster.ceiling is not None:
        notes.append(
            f"All speeds / GPU speeds is {number(contest.cluster.ceiling)}: more than that no "
            "schedule gains over the GPUs alone."
        )
    if contest.left_out:
        told = (f"seed {seed} ({side})" for seed, side in contest.left_out.items())
        notes.append(f"Left out, since only one side has it: {', '.join(told)}.")
    return notes


def _about_p(contest: Contest) -> str:
    pairs = len(contest.seeds)
    least = 2.0 ** (1 - pairs)
    line = f"p: Wilcoxon signed-rank, two-sided. {_pairs(pairs)} can give no less than {least:.3g}"
    return f"{line}, so none is below 0.05 whatever the runs." if least > 0.05 else f"{line}."


def closing_notes(found: Comparison) -> list[str]:
    """What holds for all contests: requests, emulation, and runs left out."""
    notes = [
        f"Under ray_pbt every trial asked for {request} ({runs} run{'s' * (runs > 1)})."
        for request, runs in found.requests.items()
    ]
    if found.emulated:
        notes.append("The workers were emulated: times are about schedules, not about devices.")
    return notes + list(found.notes)


def _seeds(seeds: Sequence[int]) -> str:
    many = f"{len(seeds)} seeds" if len(seeds) > 1 else "1 seed"
    return f"{many} ({', '.join(map(str, seeds))})"


def _rich(sheet: Sheet) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(sheet.headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=index > 0)
    for row in sheet.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _markdown(sheet: Sheet) -> list[str]:
    rule = ["---", *("---:" for _ in sheet.headings[1:])]
    return [_line(sheet.headings), _line(rule), *(_line(row) for row in sheet.rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
