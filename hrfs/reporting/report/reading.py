"""One run as its report needs it, whole or not: what is missing is told and the rest is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import SliceRecord
from hrfs.reporting.runs_files import CONFIG, SLICES, LeftOut, read_files
from hrfs.reporting.slices_read import read_whole_slices
from hrfs.reporting.unfinished import read_config, refuse_newer_log


@dataclass(frozen=True, slots=True)
class Members:
    """One population of a run. ``first`` and ``last`` are numbers of trials."""

    seed: int | None
    """None where nothing tells it."""
    first: int
    last: int
    winner: int | None
    """Trial with the best last score; None without a finite score."""

    def __contains__(self, trial: int) -> bool:
        return self.first <= trial <= self.last


@dataclass(frozen=True, slots=True)
class RunData:
    """What is known of one run."""

    folder: Path
    records: tuple[SliceRecord, ...]
    """In the order of their starts."""
    summary: Mapping[str, Any] | None
    """None of a run that is still going, was killed or failed."""
    labels: Mapping[str, Any]
    metric: str
    mode: str
    workers: Mapping[str, str]
    """Every worker and its kind, those of the summary first."""
    members: tuple[Members, ...]
    winner: int | None
    """That of the best population."""
    notes: tuple[str, ...]
    """What is missing or assumed, in sentences."""

    def better(self, score: float, than: float) -> bool:
        """Whether ``score`` ranks before ``than``."""
        return score > than if self.mode == "max" else score < than


def read_run(folder: Path) -> RunData:
    """Read a folder in which a run was started.

    Raises:
        ConfigError: a newer hrfs has written it, or a file in it is damaged elsewhere than at
            its end.
    """
    refuse_newer_log(folder, "folder")
    files = read_files(folder)
    notes: list[str] = []
    if isinstance(files, LeftOut):
        summary, config = None, _config_so_far(folder / CONFIG)
        notes.append(f"No summary: {files.reason}. What follows is about the slices so far.")
    else:
        summary, config = files.summary, files.config
    records = _read_records(folder / SLICES, notes)
    population = config.get("population")
    plan = summary["plan"] if summary else population if isinstance(population, dict) else {}
    mode = plan.get("mode")
    if mode not in ("max", "min"):
        notes.append("Nothing says whether high or low scores are better: high is taken to be.")
        mode = "max"
    ordered = tuple(sorted(records, key=lambda r: (r.start_s, r.slice)))
    members = _members(summary, ordered, mode)
    winner = _winner(summary, members, ordered, mode)
    labels = summary["labels"] if summary else _labels(config)
    metric = str(plan.get("metric", "score"))
    workers = _workers(summary, ordered)
    told = tuple(notes)
    return RunData(folder, ordered, summary, labels, metric, mode, workers, members, winner, told)


def _config_so_far(path: Path) -> Mapping[str, Any]:
    config = read_config(path, CONFIG)
    return config if isinstance(config, dict) else {}


def _labels(config: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, (group, key) in {
        "model": ("model", "network"),
        "dataset": ("dataset", "name"),
        "scheduler": ("scheduler", "policy"),
        "cluster": ("cluster", "mode"),
    }.items():
        part = config.get(group)
        if isinstance(part, dict) and part.get(key) is not None:
            found[name] = part[key]
    return found


def _read_records(path: Path, notes: list[str]) -> list[SliceRecord]:
    """All whole slices; what is not whole is told in ``notes``.

    Raises:
        ConfigError: the file is damaged elsewhere than at its end.
    """
    if not path.exists() or b"\n" not in path.read_bytes():
        notes.append(f"There is no slice in {SLICES} yet.")
        return []
    records, torn = read_whole_slices(path)
    for record in records:
        if not (math.isfinite(record.start_s) and math.isfinite(record.end_s)):
            rule = f"slice {record.slice} has a time that is no finite number"
            raise ConfigError("slices", path, rule, "remove that line or take the file anew")
    if torn:
        notes.append(f"Left out: {torn} truncated line at the end of {SLICES}.")
    if not records:
        notes.append(f"There is no slice in {SLICES} yet.")
    return records


def _members(
    summary: Mapping[str, Any] | None, records: Sequence[SliceRecord], mode: str
) -> tuple[Members, ...]:
    if summary is None:
        most = max((record.trial for record in records), default=0)
        return (Members(None, 0, most, last_best(records, mode)),)
    several = summary.get("populations") or []
    if not several:
        winner = summary["winner"]
        last = summary["plan"]["trials"] - 1
        return (Members(summary["seed"], 0, last, winner["trial"] if winner else None),)
    found = []
    for told in several:
        first, last = told["trials"]
        winner = told["winner"]
        found.append(Members(told["seed"], first, last, winner["trial"] if winner else None))
    return tuple(found)


def _winner(
    summary: Mapping[str, Any] | None,
    members: Sequence[Members],
    records: Sequence[SliceRecord],
    mode: str,
) -> int | None:
    if summary is not None:
        winner = summary["winner"]
        return winner["trial"] if winner else None
    return members[0].winner if members else last_best(records, mode)


def last_best(records: Sequence[SliceRecord], mode: str) -> int | None:
    """The trial with the best finite last score, of equals the one with the lowest number."""
    last = {r.trial: r.score for r in sorted(records, key=lambda r: (r.end_s, r.slice))
            if r.score is not None}  # fmt: skip
    known = {trial: score for trial, score in last.items() if math.isfinite(score)}
    sign = 1.0 if mode == "max" else -1.0
    return max(sorted(known), key=lambda trial: sign * known[trial], default=None)


def _workers(summary: Mapping[str, Any] | None, records: Sequence[SliceRecord]) -> dict[str, str]:
    told = {w["name"]: str(w["kind"]) for w in summary["workers"]} if summary else {}
    for record in records:
        told.setdefault(record.worker, record.worker_kind or "unknown kind")
    return told
