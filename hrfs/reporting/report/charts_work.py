"""Figures about the workers: how busy they were, how well foretold, how near to the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hrfs.experiment.calibration import LEAST_SLICES, Foretold, foretell
from hrfs.experiment.records import SliceRecord
from hrfs.reporting import figures
from hrfs.reporting.over_gpus import over_gpus
from hrfs.reporting.report.chart import Axis, Bars, Chart, Layer, Line, Points
from hrfs.reporting.report.reading import RunData
from hrfs.reporting.words import ending, number, share

NAME_WIDTH = 24
PARTS: tuple[tuple[str, str, str], ...] = (
    ("train_s", "training", "c0"),
    ("evaluate_s", "evaluation", "c4"),
    ("load_s", "loading", "c2"),
    ("save_s", "saving", "c1"),
    ("wait_s", "waiting within a slice", "c3"),
)
MOST_POINTS = 1000
"""Slices that are drawn one by one; a browser takes seconds for many more."""
SYMBOLS: tuple[Any, ...] = ("circle", "square", "diamond", "cross", "triangle", "x")


def utilisation(run: RunData) -> Chart | None:
    """What each worker's time went to, as shares of the makespan; None if no time passed."""
    if not run.records:
        return None
    begin_s, end_s = figures.window_s(run.records)
    span_s = end_s - begin_s
    if span_s <= 0:
        return None
    names = list(run.workers)
    rows = {name: row for row, name in enumerate(reversed(names))}
    of: dict[str, list[SliceRecord]] = {name: [] for name in names}
    for record in run.records:
        of[record.worker].append(record)
    shares = {name: _shares(mine, span_s) for name, mine in of.items()}
    layers = _stacked(shares, rows)
    busy = [1 - shares[name]["idle"] for name in names]
    return Chart(
        key="utilisation",
        title="Utilisation and idle time",
        alt=f"Of {len(names)} workers the busiest had work for {share(max(busy))} of the time and "
        f"the least busy for {share(min(busy))}.",
        x=Axis("share of the time from the first start to the last end", range=(0.0, 1.0)),
        y=Axis("", [(float(row), ending(name, NAME_WIDTH)) for name, row in rows.items()]),
        layers=layers,
        caption="A worker that came late or left early is idle before and after. Slices that "
        "failed count as idle.",
        height_px=min(900, 180 + 28 * len(names)),
    )


def _stacked(shares: Mapping[str, Mapping[str, float]], rows: Mapping[str, int]) -> list[Layer]:
    """One layer for each part of the time that any worker had, behind one another."""
    layers: list[Layer] = []
    starts = dict.fromkeys(shares, 0.0)
    parts = [*((name, colour) for _, name, colour in PARTS), ("other work", "c7"), ("idle", "idle")]
    for what, colour in parts:
        lengths = [of[what] for of in shares.values()]
        if what != "idle" and not any(lengths):
            continue
        layers.append(
            Bars(
                name=what,
                row=[rows[name] for name in shares],
                start=list(starts.values()),
                length=lengths,
                colour=colour,
                hover=[f"{name}: {what} {share(of[what])}" for name, of in shares.items()],
                text=[share(part) if part >= 0.06 else "" for part in lengths],
            )
        )
        starts = {name: starts[name] + of[what] for name, of in shares.items()}
    return layers


def _shares(records: Sequence[SliceRecord], span_s: float) -> dict[str, float]:
    parts = {name: math.fsum(getattr(r, part) for r in records) / span_s for part, name, _ in PARTS}
    held = math.fsum(r.duration_s for r in records) / span_s
    parts["other work"] = max(0.0, held - math.fsum(parts.values()))
    parts["idle"] = max(0.0, 1.0 - held)
    return parts


def prediction(run: RunData) -> Chart | None:
    """Predicted against actual seconds of the slices; None if nothing was predicted."""
    fit = [r for r in run.records if r.iterations > 0 and r.duration_s > 0]
    judged = [f for f in foretell(fit) if f.prediction is not None and f.slices >= LEAST_SLICES]
    if not judged:
        return None
    drawn = judged[:: -(-len(judged) // MOST_POINTS)]
    kinds = list(dict.fromkeys(run.workers[f.record.worker] for f in judged))
    layers: list[Layer] = []
    for index, kind in enumerate(kinds):
        mine = [f for f in drawn if run.workers[f.record.worker] == kind]
        layers.append(
            Points(
                name=kind,
                x=[_predicted_s(f) for f in mine],
                y=[f.record.duration_s for f in mine],
                colour=f"c{index % 8}",
                hover=[_told(f) for f in mine],
                symbol=SYMBOLS[index % len(SYMBOLS)],
                size=5.0,
            )
        )
    every = [_predicted_s(f) for f in judged] + [f.record.duration_s for f in judged]
    ends = [min(every) * 0.9, max(every) * 1.1]
    layers.append(Line("exactly as predicted", ends, ends, "ink", width=1.2, dash="dash"))
    inside = sum(f.inside for f in judged) / len(judged)
    return Chart(
        key="prediction",
        title="Predicted and actual time of slices",
        alt=f"{len(judged)} slices; {share(inside)} took a time within the predicted 80 % "
        "interval.",
        x=Axis("predicted (s)", log=True),
        y=Axis("actual (s)", log=True),
        layers=layers,
        caption="Each slice is predicted from those that had ended when it began; only slices of "
        f"workers that had ended {LEAST_SLICES} are judged.{_thinned(len(drawn), len(judged))}",
    )


def _thinned(drawn: int, of: int) -> str:
    return "" if drawn == of else f" Drawn are {drawn} of them, evenly spread over the run."


def _predicted_s(foretold: Foretold) -> float:
    assert foretold.prediction is not None
    return foretold.prediction.seconds


def _told(foretold: Foretold) -> str:
    known, record = foretold.prediction, foretold.record
    assert known is not None
    return (
        f"slice {record.slice}, trial {record.trial} on {record.worker}\n"
        f"actual {number(record.duration_s)} s\npredicted {number(known.seconds)} s "
        f"[{number(known.low_s)}, {number(known.high_s)}]"
    )


@dataclass(frozen=True, slots=True)
class _Times:
    makespan_s: float
    bound_s: float
    gpu_only_s: float | None
    ceiling: float | None


def makespan(run: RunData) -> Chart | None:
    """The run's time beside C*, the GPUs alone and the ceiling; None without a measured speed."""
    known = _times(run)
    if known is None:
        return None
    rows = _compared(known)
    layers: list[Layer] = [
        Bars(
            name=name,
            row=[len(rows) - 1 - index],
            start=[0.0],
            length=[seconds],
            colour=colour,
            hover=[f"{name}: {number(seconds)} s\n{meaning}"],
            text=[f"{number(seconds)} s"],
        )
        for index, (name, seconds, colour, meaning) in enumerate(rows)
    ]
    ratio = number(known.makespan_s / known.bound_s)
    so_far = "" if run.summary else " All of it is about the work done so far."
    return Chart(
        key="makespan",
        title="Time against the best possible",
        alt="; ".join(f"{name} {number(seconds)} s" for name, seconds, _, _ in rows)
        + f"; this run is {ratio} times C*.",
        x=Axis("seconds"),
        y=Axis("", [(float(len(rows) - 1 - i), name) for i, (name, *_) in enumerate(rows)]),
        layers=layers,
        caption=f"No schedule of these workers can take less than C*.{so_far}",
        height_px=150 + 45 * len(rows),
        legend=False,
    )


def _compared(known: _Times) -> list[tuple[str, float, str, str]]:
    """Name, seconds, colour and meaning of each bar."""
    rows: list[tuple[str, float, str, str]] = [
        ("this run", known.makespan_s, "c0", "from the first start to the last end"),
        ("C*", known.bound_s, "c2", "the least time in which these workers can do this work"),
    ]
    if known.gpu_only_s is not None and known.ceiling is not None:
        rows += [
            ("GPUs alone", known.gpu_only_s, "c1", "C* of the same work on the GPUs alone"),
            (
                f"ceiling: GPUs alone / {number(known.ceiling)}",
                known.gpu_only_s / known.ceiling,
                "c3",
                "what it would be if no worker were ever idle",
            ),
        ]
    return rows


def _times(run: RunData) -> _Times | None:
    """As the summary tells them or, if there is none, of the slices so far."""
    if run.summary is not None:
        told, gained = run.summary, run.summary.get("over_gpus") or {}
        if not told["makespan_s"] or not told["bound_s"]:
            return None
        return _Times(
            told["makespan_s"],
            told["bound_s"],
            gained.get("gpu_only_bound_s"),
            gained.get("ceiling"),
        )
    bound_s = figures.bound_s(run.records)
    if not bound_s:
        return None
    begin_s, end_s = figures.window_s(run.records)
    kind: Callable[[SliceRecord], str] = lambda record: run.workers[record.worker]  # noqa: E731
    gains = over_gpus(run.records, kind)
    if gains is None:
        return _Times(end_s - begin_s, bound_s, None, None)
    return _Times(end_s - begin_s, bound_s, gains.gpu_only_bound_s, gains.ceiling)
