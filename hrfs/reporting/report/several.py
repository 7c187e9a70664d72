"""Figures over several runs: policies and seeds side by side, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hrfs.reporting.aggregate import Aggregate, Figure
from hrfs.reporting.figures import window_s
from hrfs.reporting.report.chart import Axis, Chart, Dash, Layer, Line, Points
from hrfs.reporting.report.charts_time import score_band
from hrfs.reporting.report.reading import RunData
from hrfs.reporting.words import ending, number

SHOWN = (
    ("best", "best score"),
    ("winner", "winner's last score"),
    ("makespan_s", "makespan (s)"),
    ("time_to_target_s", "time to the target (s)"),
    ("ratio", "makespan / C*"),
    ("utilisation", "utilisation"),
)
NAME_WIDTH = 40
DASHES: tuple[Dash, ...] = ("solid", "dash", "dot")
SEEDS = 0.28
"""How far above its mean the values of the seeds are drawn, in rows."""


def intervals(found: Aggregate) -> list[Chart]:
    """One chart for each shown figure that any group has: every seed, the mean, the interval."""
    made = []
    known = dict.fromkeys(figure.name for group in found.groups for figure in group.figures)
    tests = [(name, name) for name in known if name.startswith("test/")]
    for name, words in (*SHOWN[:2], *tests, *SHOWN[2:]):
        by_group = {
            group.name or "all runs": figure
            for group in found.groups
            for figure in group.figures
            if figure.name == name and figure.estimate.mean is not None
        }
        if by_group:
            made.append(_interval(name, words, by_group))
    return made


def _interval(name: str, words: str, by_group: Mapping[str, Figure]) -> Chart:
    count = len(by_group)
    layers: list[Layer] = []
    said = []
    for index, (group, figure) in enumerate(by_group.items()):
        line = _in_words(group, figure)
        layers += _seeds_and_mean(group, figure, float(count - 1 - index), f"c{index % 8}", line)
        said.append(line)
    ticks = [(float(count - 1 - i), ending(group, NAME_WIDTH)) for i, group in enumerate(by_group)]
    return Chart(
        key="interval_" + "".join(c if c.isalnum() else "_" for c in name),
        title=words,
        alt="; ".join(said) + ".",
        x=Axis(words),
        y=Axis("", ticks, range=(-0.6, count - 0.3)),
        layers=layers,
        caption="Diamond: mean over the seeds with its 95 % confidence interval. x: each seed.",
        height_px=140 + 46 * count,
        legend=False,
    )


def _in_words(group: str, figure: Figure) -> str:
    told = figure.estimate
    interval = "" if told.low is None else f" [{number(told.low)}, {number(told.high)}]"
    return f"{group}: mean {number(told.mean)}{interval}, {told.n} of {figure.of} seeds"


def _seeds_and_mean(
    group: str, figure: Figure, row: float, colour: str, line: str
) -> tuple[Layer, Layer]:
    """The values of the seeds, and below them their mean with its interval."""
    told = figure.estimate
    assert told.mean is not None
    known = {seed: value for seed, value in figure.values.items() if value is not None}
    known = {seed: value for seed, value in known.items() if math.isfinite(value)}
    seeds = Points(
        name="",
        x=list(known.values()),
        y=[row + SEEDS] * len(known),
        colour="faint",
        hover=[f"{group}, seed {seed}: {number(value)}" for seed, value in known.items()],
        symbol="x",
        size=7.0,
    )
    mean = Points(
        name="",
        x=[told.mean],
        y=[row],
        colour=colour,
        hover=[f"{line}\n{told.method}"],
        symbol="diamond",
        size=10.0,
        low=[told.low],
        high=[told.high],
    )
    return seeds, mean


def scores(runs: Sequence[tuple[str, RunData]]) -> Chart | None:
    """The best score so far of each run over time; None if no run has a finite score.

    Args:
        runs: the group's name and the run, those of one group one after the other.
    """
    groups = list(dict.fromkeys(group for group, _ in runs))
    metrics = list(dict.fromkeys(run.metric for _, run in runs))
    layers: list[Layer] = []
    said: set[str] = set()
    for group, run in runs:
        line = _best_so_far(group, run, groups.index(group), legend=group not in said)
        if line is not None:
            layers.append(line)
            said.add(group)
    if not layers:
        return None
    return Chart(
        key="scores",
        title="Best score so far",
        alt=f"The best {' or '.join(metrics)} so far of {len(layers)} runs in {len(said)} groups.",
        x=Axis("seconds since the run's first start"),
        y=Axis(" / ".join(metrics)),
        layers=layers,
        caption="One line for each run, one colour for each group.",
    )


def _best_so_far(group: str, run: RunData, index: int, legend: bool) -> Line | None:
    records = [r for r in run.records if r.score is not None and math.isfinite(r.score)]
    if not records:
        return None
    begin_s = window_s(run.records)[0]
    ordered = sorted(records, key=lambda r: (r.end_s, r.slice))
    times, best, _ = score_band(ordered, run.mode)
    x, y = [t - begin_s for t in times], _so_far(best, run.mode)
    seed = ", ".join(str(members.seed) for members in run.members)
    name = f"{group}, seed {seed}" if group else f"seed {seed}"
    return Line(
        name=group or "all runs",
        x=x,
        y=y,
        colour=f"c{index % 8}",
        hover=[f"{name}: {number(v)}\nat {number(t)} s" for t, v in zip(x, y, strict=True)],
        width=1.8,
        dash=DASHES[index // 8 % len(DASHES)],
        steps=True,
        opacity=0.85,
        legend=legend,
    )


def _so_far(values: Sequence[float], mode: str) -> list[float]:
    best = max if mode == "max" else min
    found: list[float] = []
    for value in values:
        found.append(best(found[-1], value) if found else value)
    return found
