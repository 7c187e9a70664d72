"""``summary.json`` and ``summary.csv`` of a sweep, made from an :class:`Aggregate`.

The JSON has ``"kind": "aggregate"``, which tells it from the summary of a run. The CSV has one
row for each metric of each group, with a column ``seed/<seed>`` for each seed; an empty cell is
not measured.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.reporting.aggregate import Aggregate, Figure, Group
from hrfs.reporting.cells import encode_number, format_line, strict
from hrfs.reporting.runs_files import SUMMARY, is_run
from hrfs.reporting.statistics import CONFIDENCE

FORMAT = 1
"""Raised whenever a key of a sweep's ``summary.json`` changes its meaning."""
KIND = "aggregate"
TABLE = "summary.csv"
_COLUMNS = ("group", "metric", "n", "of", "mean", "std", "low", "high", "method")
_ELSEWHERE = "choose another folder with out="
_OF_THE_RUN = ("makespan_s", "bound_s", "ratio", "utilisation", "worker_s")


def write_aggregate(folder: Path, found: Aggregate) -> None:
    """Write both files into ``folder``, each whole or not at all.

    Raises:
        ConfigError: ``folder`` belongs to a run, or holds another ``summary.json``, or cannot
            be written.
    """
    check_target(folder)
    try:
        text = json.dumps(as_json(found, folder), indent=2, allow_nan=False) + "\n"
        write_atomically(folder / SUMMARY, text)
        write_atomically(folder / TABLE, as_csv(found))
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    rule = f"cannot be written ({error.strerror or error})"
    return ConfigError("out", folder, rule, _ELSEWHERE)


def check_target(folder: Path) -> None:
    """Make sure that nobody's ``summary.json`` would be lost in ``folder``.

    Raises:
        ConfigError: it would.
    """
    if is_run(folder):
        raise ConfigError("out", folder, f"is a run's, whose {SUMMARY} would be lost", _ELSEWHERE)
    try:
        there = json.loads((folder / SUMMARY).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return
    except (ValueError, RecursionError):
        there = None
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not isinstance(there, dict) or there.get("kind") != KIND:
        raise ConfigError("out", folder, f"has a {SUMMARY} of something else", _ELSEWHERE)


def as_json(found: Aggregate, folder: Path) -> dict[str, Any]:
    """The aggregate as plain values; folders inside ``folder`` are told from there."""
    whole: dict[str, Any] = strict(
        {
            "kind": KIND,
            "format": FORMAT,
            "confidence": CONFIDENCE,
            "folders": [_inside(path, folder) for path in found.folders],
            "groups": [_group(group, folder) for group in found.groups],
            "left_out": [
                {"folder": _inside(run.folder, folder), "reason": run.reason}
                for run in found.left_out
            ],
        }
    )
    return whole


def _group(group: Group, folder: Path) -> dict[str, Any]:
    plan = group.runs[0].summary["plan"]
    return {
        "group": group.name,
        "seeds": group.seeds,
        "score": plan["metric"],
        "mode": plan["mode"],
        "target_score": plan["target_score"],
        "runs": [_run(group, path, folder) for path in group.folders],
        "metrics": {figure.name: _figure(figure) for figure in group.figures},
    }


def _run(group: Group, path: Path, folder: Path) -> dict[str, Any]:
    """Of one folder, what belongs to all its populations together."""
    runs = [run for run in group.runs if run.folder == path]
    whole = {name: runs[0].summary[name] for name in _OF_THE_RUN}
    return {"folder": _inside(path, folder), "seeds": [run.seed for run in runs], **whole}


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        **asdict(figure.estimate),
        "of": figure.of,
        "values": {str(seed): value for seed, value in figure.values.items()},
    }


def _inside(path: Path, folder: Path) -> str:
    absolute, base = path.resolve(), folder.resolve()
    return str(absolute.relative_to(base) if absolute.is_relative_to(base) else absolute)


def as_csv(found: Aggregate) -> str:
    """The whole file as text."""
    seeds = sorted({seed for group in found.groups for seed in group.seeds})
    lines = [format_line([*_COLUMNS, *(f"seed/{seed}" for seed in seeds)])]
    for group in found.groups:
        for figure in group.figures:
            told = figure.estimate
            numbers = (told.mean, told.std, told.low, told.high)
            cells = [group.name, figure.name, str(told.n), str(figure.of)]
            cells += [*(encode_number(number) for number in numbers), told.method]
            cells += [encode_number(figure.values.get(seed)) for seed in seeds]
            lines.append(format_line(cells))
    return "".join(lines)
