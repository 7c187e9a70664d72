"""What a report says: of one run, and of several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.schedule import Schedule, encode_schedule
from hrfs.reporting.aggregate import Aggregate, summed_up
from hrfs.reporting.comparison import SCHEDULER, Comparison, compare
from hrfs.reporting.figures import window_s
from hrfs.reporting.report import charts_time, charts_values, charts_work, several, tables
from hrfs.reporting.report.chart import Chart
from hrfs.reporting.report.lineage import Lineages, schedule_of
from hrfs.reporting.report.reading import RunData, read_run
from hrfs.reporting.report.tables import Sheet
from hrfs.reporting.runs import gather, refuse_repeats
from hrfs.reporting.words import number, share


@dataclass(frozen=True, slots=True)
class Contents:
    """All of a report but its form."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    charts: tuple[Chart, ...]
    sheets: tuple[Sheet, ...]
    schedules: dict[str, Schedule] = field(default_factory=dict)
    """By the name of their file."""


def of_run(folder: Path) -> Contents:
    """The report on one run.

    Raises:
        ConfigError: as :func:`hrfs.reporting.report.reading.read_run`.
    """
    run = read_run(folder)
    lineages = Lineages(run.records)
    notes = list(run.notes)
    if run.winner is None and run.records:
        notes.append("No trial has a finite score, so there is no winner and no schedule of one.")
    winners = _schedules(run, lineages, notes)
    found = [
        charts_time.timeline(run, lineages),
        charts_time.scores(run, lineages),
        *charts_values.schedules(run, lineages),
        charts_work.utilisation(run),
        charts_work.prediction(run),
        charts_work.makespan(run),
        charts_values.population(run),
    ]
    sheets = [_stretches(name, schedule) for name, schedule in winners.items()]
    if run.summary is not None:
        sheets.append(tables.everything(run.summary))
    return Contents(
        title=f"Run {folder.resolve().name}",
        subtitle=_subtitle(run),
        facts=tuple(_facts(run)),
        notes=tuple(notes),
        charts=tuple(chart for chart in found if chart is not None),
        sheets=tuple(sheets),
        schedules=winners,
    )


def _subtitle(run: RunData) -> str:
    labels = ", ".join(f"{name} {value}" for name, value in run.labels.items() if value is not None)
    return f"{run.folder}; {labels}" if labels else str(run.folder)


def _facts(run: RunData) -> list[tuple[str, str]]:
    facts = [("slices", str(len(run.records)))]
    if run.records:
        begin_s, end_s = window_s(run.records)
        facts.append(("from first start to last end", f"{number(end_s - begin_s)} s"))
        facts.append(("iterations", str(sum(record.iterations for record in run.records))))
    if run.winner is not None:
        facts.append(("winner", f"trial {run.winner}"))
    told = run.summary
    if told is None:
        return [("status", "not finished"), *facts]
    facts = [("status", str(told["status"])), *facts]
    if told["best"]:
        facts.append((f"best {run.metric}", number(told["best"]["score"])))
    facts += [(name, number(value)) for name, value in (told["test"] or {}).items()]
    facts += [
        ("makespan / C*", number(told["ratio"])),
        ("utilisation", share(told["utilisation"])),
        ("exploits", str(told["exploits"])),
        ("failures", str(told["failures"]["count"])),
    ]
    return facts


def _schedules(run: RunData, lineages: Lineages, notes: list[str]) -> dict[str, Schedule]:
    """That of the winner and, of several populations, that of each."""
    wanted: dict[str, tuple[int | None, int | None]] = {}
    best = next((m.seed for m in run.members if m.winner == run.winner), None)
    wanted["winner_schedule.json"] = (run.winner, best)
    if len(run.members) > 1:
        wanted |= {f"winner_schedule_seed{m.seed}.json": (m.winner, m.seed) for m in run.members}
    found = {}
    for name, (trial, seed) in wanted.items():
        if trial is None:
            continue
        ancestry = lineages.ancestry(trial)
        score = next((r.score for r in reversed(ancestry.slices) if r.score is not None), None)
        schedule = schedule_of(ancestry, run.metric, score, seed)
        fault = ancestry.gap if schedule is None else _fault(schedule)
        if fault:
            notes.append(f"There is no {name}: {fault}.")
        elif schedule is not None:
            found[name] = schedule
    return found


def _fault(schedule: Schedule) -> str:
    """Why no file can hold the schedule; empty if one can."""
    try:
        encode_schedule(schedule)
    except ValueError as error:
        return str(error)
    return ""


def _stretches(name: str, schedule: Schedule) -> Sheet:
    names = sorted({key for stretch in schedule.stretches for key in stretch.hyperparameters})
    return Sheet(
        f"What the winner's weights were trained with ({name})",
        ("iterations", "trial", *names),
        tuple(
            (
                f"{s.from_iteration} to {s.to_iteration}",
                str(s.trial),
                *(_value(s.hyperparameters.get(key)) for key in names),
            )
            for s in schedule.stretches
        ),
        ("Iterations are those of the weights, counted from their initialisation.",),
    )


def _value(value: Any) -> str:
    return number(value, 6)


def of_several(folders: Sequence[Path]) -> Contents:
    """The report on several runs, side by side.

    Raises:
        ConfigError: as :func:`hrfs.reporting.runs.gather`, or a seed was run twice.
    """
    gathered = gather(folders)
    refuse_repeats(gathered.runs)
    found = summed_up(gathered, folders)
    notes = [f"Left out: {run.folder}: {run.reason}." for run in found.left_out]
    comparison = _comparison(folders, found, notes)
    read = {run.folder: run.group for group in found.groups for run in group.runs}
    runs = [(group, read_run(folder)) for folder, group in read.items()]
    notes += [f"{run.folder}: {note}" for _, run in runs for note in run.notes]
    curve = several.scores(runs)
    sheets = [*tables.of_comparison(comparison)] if comparison else []
    return Contents(
        title=f"{len(gathered.runs)} populations in {len(found.groups)} groups",
        subtitle=", ".join(map(str, folders)),
        facts=(
            ("runs that finished", str(len(read))),
            ("left out", str(len(found.left_out))),
        ),
        notes=tuple(notes),
        charts=(*([curve] if curve else []), *several.intervals(found)),
        sheets=(*sheets, *tables.of_groups(found)),
    )


def _comparison(folders: Sequence[Path], found: Aggregate, notes: list[str]) -> Comparison | None:
    """Schedulers against each other, seed by seed, if the runs allow it."""
    if len(found.groups) < 2:
        return None
    try:
        return compare(folders, SCHEDULER)
    except ConfigError as fault:
        notes.append(f"No scheduler is held against another: {fault}.")
        return None
