"""Figures about hyperparameters: how they changed, and where the population ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from hrfs.experiment.records import SliceRecord
from hrfs.reporting.cells import plain
from hrfs.reporting.report.chart import Axis, Chart, Layer, Line, Points
from hrfs.reporting.report.lineage import Lineages
from hrfs.reporting.report.reading import RunData
from hrfs.reporting.report.scale import Scale, scale_of, varied
from hrfs.reporting.words import number

SCORE = "last score"
RANKS: Mapping[str, tuple[str, str, float]] = {
    "middle": ("middle half by last score", "faint", 1.4),
    "last": ("last quarter", "c5", 1.4),
    "first": ("best quarter", "c0", 2.0),
    "winner": ("winner", "ink", 4.0),
}
"""Part of the population to its words, colour and width; what is later lies in front."""


def schedules(run: RunData, lineages: Lineages) -> list[Chart]:
    """One chart for each hyperparameter that varied: all trials, the winner's lineage in front."""
    return [_schedule(run, lineages, name) for name in varied(run.records)]


def _schedule(run: RunData, lineages: Lineages, name: str) -> Chart:
    scale = scale_of([r.hyperparameters.get(name) for r in run.records])
    by_trial: dict[int, list[SliceRecord]] = {}
    for record in sorted(run.records, key=lambda r: (r.end_s, r.slice)):
        by_trial.setdefault(record.trial, []).append(record)
    x: list[float | None] = []
    y: list[float | None] = []
    hover: list[str] = []
    for mine in by_trial.values():  # one path for all, since each costs the browser time
        places, values, told = _steps(mine, name, scale)
        x += [*places, None]
        y += [*values, None]
        hover += [*told, ""]
    layers: list[Layer] = [Line("every trial", x, y, "faint", hover, 1.2, opacity=0.7)]
    alt = f"{name} of {len(by_trial)} trials over their iterations."
    if run.winner is not None:
        added, trials = _lineage(lineages.ancestry(run.winner).slices, name, scale)
        layers += added
        alt += f" The winner's lineage goes through trials {', '.join(map(str, trials))}."
    return Chart(
        key="schedule_" + "".join(c if c.isalnum() else "_" for c in name),
        title=f"Schedule of {name}",
        alt=alt,
        x=Axis("iterations of the trial"),
        y=scale.axis(name),
        layers=layers,
        caption="Thin: every trial. Thick: what the winner's weights were trained with. A dotted "
        "step is an exploit, where the weights went to another trial.",
    )


def _steps(
    records: Sequence[SliceRecord], name: str, scale: Scale
) -> tuple[list[float | None], list[float | None], list[str]]:
    """A flat piece for each stretch of slices with one value, joined where the trial goes on."""
    x: list[float | None] = []
    y: list[float | None] = []
    hover: list[str] = []
    for record in records:
        value = record.hyperparameters.get(name)
        at = scale.place(value)
        said = (
            f"trial {record.trial}, iterations {record.from_iteration} to {record.to_iteration}\n"
            f"{name} {number(plain(value))}"
        )
        if x and y[-1] == at and x[-1] == record.from_iteration:
            x[-1], hover[-1] = float(record.to_iteration), said
            continue
        x += [float(record.from_iteration), float(record.to_iteration)]
        y += [at, at]
        hover += [said, said]
    return x, y, hover


def _lineage(
    slices: Sequence[SliceRecord], name: str, scale: Scale
) -> tuple[list[Layer], list[int]]:
    """Thick pieces, one per trial, dotted steps between them, and the trials."""
    pieces: list[list[SliceRecord]] = []
    for record in slices:
        if not pieces or pieces[-1][-1].trial != record.trial:
            pieces.append([])
        pieces[-1].append(record)
    layers: list[Layer] = []
    thick_x: list[float | None] = []
    thick_y: list[float | None] = []
    thick_hover: list[str] = []
    for piece in pieces:
        x, y, hover = _steps(piece, name, scale)
        thick_x += [*x, None]
        thick_y += [*y, None]
        thick_hover += [*(f"winner's lineage: {said}" for said in hover), ""]
    layers.append(Line("winner's lineage", thick_x, thick_y, "accent", thick_hover, 3.5))
    jump_x: list[float | None] = []
    jump_y: list[float | None] = []
    for one, other in pairwise(pieces):
        last, first = one[-1], other[0]
        jump_x += [float(last.to_iteration), float(first.from_iteration), None]
        jump_y += [
            scale.place(last.hyperparameters.get(name)),
            scale.place(first.hyperparameters.get(name)),
            None,
        ]
    if jump_x:
        layers.append(Line("exploit", jump_x, jump_y, "accent", (), 1.6, "dot"))
    return layers, [piece[0].trial for piece in pieces]


def population(run: RunData) -> Chart | None:
    """Parallel coordinates of the final population; None if nothing varied."""
    last: dict[int, SliceRecord] = {}
    for record in sorted(run.records, key=lambda r: (r.end_s, r.slice)):
        last[record.trial] = record
    names = varied(list(run.records))
    if not names or len(last) < 2:
        return None
    columns = {name: {t: r.hyperparameters.get(name) for t, r in last.items()} for name in names}
    columns[SCORE] = {t: r.score for t, r in last.items()}
    placed = {name: _normalised(list(values.values())) for name, values in columns.items()}
    ranks = _ranks({t: r.score for t, r in last.items()}, run)
    places = {name: found for name, (found, _) in placed.items()}
    layers: list[Layer] = []
    for rank in RANKS:
        layers += _lines(rank, ranks, columns, places)
    layers += _ends({name: ends for name, (_, ends) in placed.items()})
    return Chart(
        key="population",
        title="Final population",
        alt=f"The last hyperparameters and scores of {len(last)} trials; axes: "
        f"{', '.join(columns)}.",
        x=Axis(
            "",
            [(float(at), name) for at, name in enumerate(columns)],
            range=(-0.35, len(columns) - 0.65),
        ),
        y=Axis("", [], range=(-0.12, 1.12)),
        layers=layers,
        caption="Each line is a trial, each column goes from its least value to its largest.",
    )


def _lines(
    rank: str,
    ranks: Mapping[int, str],
    columns: Mapping[str, Mapping[int, Any]],
    places: Mapping[str, Sequence[float | None]],
) -> list[Layer]:
    """One path through the columns for all trials of a rank; none without such a trial."""
    words, colour, width = RANKS[rank]
    x: list[float | None] = []
    y: list[float | None] = []
    hover: list[str] = []
    for index, trial in enumerate(columns[SCORE]):
        if ranks[trial] != rank:
            continue
        told = "\n".join(f"{n} {number(plain(v[trial]))}" for n, v in columns.items())
        x += [*map(float, range(len(columns))), None]
        y += [*(places[name][index] for name in columns), None]
        hover += [*[f"trial {trial}, {words}\n{told}"] * len(columns), ""]
    return [Line(words, x, y, colour, hover, width)] if x else []


def _ranks(scores: Mapping[int, float | None], run: RunData) -> dict[int, str]:
    """Each trial's part of the population, by its last score; without a finite one it is last."""
    sign = 1.0 if run.mode == "max" else -1.0
    known = {t: sign * s for t, s in scores.items() if s is not None and math.isfinite(s)}
    ordered = sorted(scores, key=lambda trial: -known.get(trial, -math.inf))
    quarter = -(-len(ordered) // 4)
    ranks = dict.fromkeys(ordered, "middle")
    ranks |= dict.fromkeys(ordered[:quarter], "first") | dict.fromkeys(ordered[-quarter:], "last")
    ranks |= {trial: "winner" for trial in ordered if trial == run.winner}
    return ranks


def _normalised(values: Sequence[Any]) -> tuple[list[float | None], tuple[str, str]]:
    """Values from 0 to 1 by their scale, and the texts of both ends."""
    scale = scale_of(values)
    placed = [scale.place(value) for value in values]
    known = [
        math.log(at) if scale.log else at for at in placed if at is not None and math.isfinite(at)
    ]
    if not known:
        return [None for _ in values], ("-", "-")
    low, high = min(known), max(known)
    at_end = [next(v for v, p in zip(values, placed, strict=True) if p is not None and
                   (math.log(p) if scale.log else p) == end) for end in (low, high)]  # fmt: skip
    span = high - low or 1.0
    middle = 0.5 if high == low else 0.0
    found = [
        None if at is None else middle + ((math.log(at) if scale.log else at) - low) / span
        for at in placed
    ]
    return found, (number(plain(at_end[0])), number(plain(at_end[1])))


def _ends(ends: Mapping[str, tuple[str, str]]) -> list[Layer]:
    """The axes, and the least and the largest value at their ends."""
    layers: list[Layer] = [
        Line("axis", [float(at)] * 2, [0.0, 1.0], "faint", width=1.0, legend=False)
        for at in range(len(ends))
    ]
    x = [float(at) for at in range(len(ends))]
    for height, which in ((-0.06, 0), (1.06, 1)):
        text = [pair[which][:16] for pair in ends.values()]
        y = [height] * len(x)
        layers.append(Points("", x, y, "ink", text, text=text, size=0.0))
    return layers
