"""Figures over time: which worker trained what, and how the population's scores rose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from textwrap import wrap

import numpy as np

from hrfs.experiment.records import SliceRecord
from hrfs.reporting.figures import window_s
from hrfs.reporting.report.chart import Arrows, Axis, Band, Bars, Chart, Layer, Line
from hrfs.reporting.report.lineage import Lineages, Takeover
from hrfs.reporting.report.palette import trial_colour
from hrfs.reporting.report.reading import Members, RunData
from hrfs.reporting.words import ending, number

NAME_WIDTH = 24
WRAP = 60
LABEL_FROM = 0.012
"""Share of the whole time from which a slice is wide enough for its trial's number."""
MOST_LABELS = 200
MOST_LEGEND = 24
MOST_ARROWS = 300
"""More exploits than this would hide the slices, so they are shown on demand."""
MOST_MOMENTS = 600
"""Moments at which the population's scores are summed up, evenly spread over all slices."""


def timeline(run: RunData, lineages: Lineages) -> Chart | None:
    """Slices by worker, coloured by trial, with exploits as arrows; None without a slice."""
    if not run.records:
        return None
    begin_s, end_s = window_s(run.records)
    rows = {name: row for row, name in enumerate(reversed(list(run.workers)))}
    trials = sorted({record.trial for record in run.records})
    alone = len(trials) <= MOST_LEGEND
    layers = _slices(run, rows, alone)
    won = {r.slice for r in lineages.ancestry(run.winner).slices} if run.winner is not None else ()
    takeovers = lineages.takeovers()
    winners = [t for t in takeovers if t.taker.slice in won and t.source.slice in won]
    others = [t for t in takeovers if t not in winners]
    layers += _arrows("exploits", others, rows, begin_s, "faint", 1.0)
    layers += _arrows("exploits behind the winner", winners, rows, begin_s, "ink", 2.2)
    return Chart(
        key="timeline",
        title="Timeline",
        alt=(
            f"{len(run.records)} slices of {len(trials)} trials on {len(rows)} workers over "
            f"{number(end_s - begin_s)} s, and {len(takeovers)} exploits, of which "
            f"{len(winners)} led to the winner."
        ),
        x=Axis("seconds since the first start"),
        y=Axis("", _ticks(rows), range=(-0.6, len(rows) - 0.4)),
        layers=layers,
        caption=(
            "A bar is a slice, its colour and number the trial. An arrow is an exploit, from the "
            "slice that trained the weights to the one that went on with them. Point at a bar for "
            "the scheduler's reason; double-click a trial's name to see it alone."
            f"{_on_demand(others)}"
        ),
        height_px=min(900, 200 + 30 * len(rows)),
        legend=alone,
    )


def _slices(run: RunData, rows: Mapping[str, int], alone: bool) -> list[Layer]:
    """A bar for each slice, in layers by trial or, of many trials, by colour."""
    begin_s, end_s = window_s(run.records)
    labelled = _labelled(run.records, end_s - begin_s)
    return [
        Bars(
            name=name,
            row=[rows[r.worker] for r in mine],
            start=[r.start_s - begin_s for r in mine],
            length=[r.duration_s for r in mine],
            colour=trial_colour(mine[0].trial),
            hover=[slice_in_words(r) for r in mine],
            text=[str(r.trial) if r.slice in labelled else "" for r in mine],
        )
        for name, mine in _together(run.records, alone).items()
    ]


def _together(records: Sequence[SliceRecord], alone: bool) -> dict[str, list[SliceRecord]]:
    """Slices of each trial or, of so many that no legend could list them, of each colour."""
    found: dict[str, list[SliceRecord]] = {}
    for record in sorted(records, key=lambda r: (r.trial, r.start_s)):
        name = f"trial {record.trial}" if alone else f"trials in {trial_colour(record.trial)}"
        found.setdefault(name, []).append(record)
    return found


def _on_demand(others: Sequence[Takeover]) -> str:
    if len(others) <= MOST_ARROWS:
        return ""
    return f" Click on exploits to see the {len(others)} that did not lead to the winner."


def _labelled(records: Sequence[SliceRecord], span_s: float) -> set[int]:
    """Slices that are wide enough for a number in them, the widest first."""
    wide = sorted(records, key=lambda r: -r.duration_s)[:MOST_LABELS]
    return {r.slice for r in wide if r.duration_s >= LABEL_FROM * span_s}


def _ticks(rows: dict[str, int]) -> list[tuple[float, str]]:
    return [(float(row), ending(name, NAME_WIDTH)) for name, row in rows.items()]


def _arrows(
    name: str,
    takeovers: Sequence[Takeover],
    rows: dict[str, int],
    begin_s: float,
    colour: str,
    width: float,
) -> list[Layer]:
    if not takeovers:
        return []
    return [
        Arrows(
            name=name,
            x0=[t.source.end_s - begin_s for t in takeovers],
            y0=[float(rows[t.source.worker]) for t in takeovers],
            x1=[t.taker.start_s - begin_s for t in takeovers],
            y1=[float(rows[t.taker.worker]) for t in takeovers],
            colour=colour,
            hover=[
                f"exploit: trial {t.taker.trial} at iteration {t.before.to_iteration} took the "
                f"weights of trial {t.source.trial}, of its iteration {t.source.to_iteration}"
                for t in takeovers
            ],
            width=width,
            hidden=len(takeovers) > MOST_ARROWS,
        )
    ]


def slice_in_words(record: SliceRecord) -> str:
    """All that a slice's record tells, in lines."""
    kind = f" ({record.worker_kind})" if record.worker_kind else ""
    lines = [
        f"trial {record.trial}, slice {record.slice}, on {record.worker}{kind}",
        f"{record.start_s:.2f} s to {record.end_s:.2f} s: {number(record.duration_s)} s",
        f"iterations {record.from_iteration} to {record.to_iteration}",
    ]
    if record.score is not None:
        lines.append(f"score {number(record.score)}")
    if record.parent is not None:
        lines.append(f"began with the weights of trial {record.parent}")
    lines += [f"{name} {number(value)}" for name, value in record.hyperparameters.items()]
    return "\n".join([*lines, *_reason(record.reason)])


@lru_cache(maxsize=4096)
def _reason(text: str) -> tuple[str, ...]:
    return tuple(wrap(f"why: {text}", WRAP)) if text else ()


def scores(run: RunData, lineages: Lineages) -> Chart | None:
    """The population's scores over time: best, median, quartiles; None without a finite score."""
    scored = [r for r in run.records if r.score is not None and math.isfinite(r.score)]
    if not scored:
        return None
    begin_s = window_s(run.records)[0]
    layers: list[Layer] = []
    several = len(run.members) > 1
    for index, members in enumerate(run.members):
        mine = sorted((r for r in scored if r.trial in members), key=lambda r: (r.end_s, r.slice))
        if mine:
            layers += _population(run, members, mine, begin_s, f"c{index}", several)
    if run.winner is not None:
        layers += _winner(run, lineages, begin_s)
    best = max if run.mode == "max" else min
    top = best(r.score for r in scored if r.score is not None)
    last = sum(r.score is not None for r in run.records) - len(scored)
    diverged = f" {last} scores were not finite and are left out." if last else ""
    return Chart(
        key="scores",
        title="Score over time",
        alt=f"{run.metric} of {len({r.trial for r in scored})} trials; the best was {number(top)}.",
        x=Axis("seconds since the first start"),
        y=Axis(run.metric),
        layers=layers,
        caption=(
            "Each trial counts with its latest score. The band holds the middle half of the "
            f"population; {'high' if run.mode == 'max' else 'low'} is better.{diverged}"
        ),
    )


def _population(
    run: RunData,
    members: Members,
    records: Sequence[SliceRecord],
    begin_s: float,
    colour: str,
    several: bool,
) -> list[Layer]:
    times, best, quartiles = score_band(records, run.mode)
    x = [time_s - begin_s for time_s in times]
    of = f", seed {members.seed}" if several else ""
    low, middle, high = quartiles
    return [
        Band(f"quartiles{of}", x, low, high, colour),
        Line(f"median{of}", x, middle, colour, _told(f"median{of}", x, middle), 1.6, "dash", True),
        Line(f"best{of}", x, best, colour, _told(f"best{of}", x, best), 2.2, "solid", True),
    ]


def _told(name: str, x: Sequence[float], y: Sequence[float]) -> list[str]:
    return [f"{name} {number(v)}\nat {number(t)} s" for t, v in zip(x, y, strict=True)]


def score_band(
    records: Sequence[SliceRecord], mode: str
) -> tuple[list[float], list[float], tuple[list[float], list[float], list[float]]]:
    """Moments in seconds, the best of the trials' latest scores at each, and their quartiles.

    Args:
        records: with finite scores, in the order of their ends.
        mode: ``max`` or ``min``.
    """
    wanted = set(np.linspace(0, len(records) - 1, min(len(records), MOST_MOMENTS)).astype(int))
    latest: dict[int, float] = {}
    times: list[float] = []
    best: list[float] = []
    rows: list[np.ndarray] = []
    for index, record in enumerate(records):
        assert record.score is not None
        latest[record.trial] = record.score
        if index in wanted:
            values = np.fromiter(latest.values(), dtype=float)
            times.append(record.end_s)
            best.append(float(values.max() if mode == "max" else values.min()))
            rows.append(np.quantile(values, (0.25, 0.5, 0.75)))
    low, middle, high = np.array(rows).T.tolist()
    return times, best, (low, middle, high)


def _winner(run: RunData, lineages: Lineages, begin_s: float) -> list[Layer]:
    """The scores that the winner's weights had, across exploits."""
    assert run.winner is not None
    known = [
        (r, r.score)
        for r in lineages.ancestry(run.winner).slices
        if r.score is not None and math.isfinite(r.score)
    ]
    if not known:
        return []
    x = [r.end_s - begin_s for r, _ in known]
    y = [score for _, score in known]
    hover = [f"the winner's weights, trained by trial {r.trial}: {number(s)}" for r, s in known]
    return [Line("the winner's weights", x, y, "accent", hover, 1.8, "dot")]
