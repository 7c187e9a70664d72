"""Figures of a run under chaos, on the screen and for the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from benchmarks.chaos.faults import WORDS, Kind
from benchmarks.chaos.losses import attribute
from benchmarks.chaos.run import Run
from benchmarks.chaos.settings import Settings
from benchmarks.chaos.verdict import Check


def kills_table(run: Run) -> Table:
    """Kills by kind, and how many of them met a slice under way."""
    made = Table(title="kills")
    made.add_column("what")
    made.add_column("kills", justify="right")
    made.add_column("with slices under way", justify="right")
    for row in kills_rows(run):
        made.add_row(*row)
    return made


def kills_rows(run: Run) -> list[list[str]]:
    """One row for each kind, and their sum."""
    counts: Counter[Kind] = Counter(kill.kind for kill in run.kills)
    met: Counter[Kind] = Counter(kill.kind for kill in run.kills if kill.under_way)
    rows = [
        [words, str(counts[kind]), "" if kind == "byte" else str(met[kind])]
        for kind, words in WORDS.items()
        if counts[kind]
    ]
    return [*rows, ["all", str(len(run.kills)), str(sum(met.values()))]]


def figures(run: Run, calm: Run, settings: Settings, checks: Sequence[Check]) -> list[list[str]]:
    """Names and values."""
    lost = attribute(run)
    whole = settings.trials * settings.stop_iterations
    gone, kills = run.steps - whole, max(1, len(run.kills))
    longer_s = run.wall_s - calm.wall_s
    broken = sum(len(check.broken) for check in checks)
    finished = sum(
        bool(steps) and steps[-1] is not None and steps[-1][1] == settings.stop_iterations
        for steps in run.log.story.values()
    )
    return [
        ["kills", str(len(run.kills))],
        ["trials finished", f"{finished} of {settings.trials}"],
        ["slices done", str(len(run.log.records))],
        ["slices repeated", str(lost.repeated)],
        ["iterations done again", f"{gone} beside {whole}"],
        ["the same, for each kill", f"{gone / kills:.1f}"],
        ["limit: all iterations of those slices", f"{lost.iterations}"],
        ["of them rolled back, as a checkpoint was damaged", f"{sum(lost.rolled_back)}"],
        ["seconds, undisturbed", f"{calm.wall_s:.0f}"],
        ["seconds, with the kills", f"{run.wall_s:.0f}"],
        ["seconds lost for each kill", f"{longer_s / kills:.1f}"],
        ["invariants broken", f"{broken} in {len(checks)} checks"],
    ]


def figures_table(rows: Sequence[Sequence[str]]) -> Table:
    """On the screen."""
    made = Table(title="a population under kills")
    made.add_column("figure")
    made.add_column("value", justify="right")
    for row in rows:
        made.add_row(*row)
    return made


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for the documents."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
