"""A comparison as JSON and CSV, and the files that ``out=DIR`` asks for."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.reporting.cells import encode_number, format_line, strict
from hrfs.reporting.comparison import Comparison
from hrfs.reporting.comparison_table import as_markdown
from hrfs.reporting.statistics import CONFIDENCE, Estimate

FORMAT = 1
"""Raised whenever a key of ``comparison.json`` changes its meaning."""
COLUMNS = (
    "contender", "baseline", "metric", "n", "contender_mean", "baseline_mean",
    "difference", "difference_low", "difference_high", "ratio", "ratio_low", "ratio_high",
    "method", "p", "least_p",
)  # fmt: skip


def as_json(found: Comparison) -> dict[str, Any]:
    """Plain values that strict JSON can hold; ``contests`` has one object per contender."""
    told = asdict(found)
    told["contests"] = [_contest(contest) for contest in told["contests"]]
    whole: dict[str, Any] = strict({"format": FORMAT, "confidence": CONFIDENCE, **told})
    return whole


def _contest(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "figures": {figure["metric"]: figure for figure in told["figures"]}}


def as_csv(found: Comparison) -> str:
    """One row for each metric of each contest; an empty cell is not known."""
    lines = [format_line(COLUMNS)]
    for contest in found.contests:
        for figure in contest.figures:
            numbers = [
                figure.mine.mean,
                figure.theirs.mean,
                *_three(figure.difference),
                *_three(figure.ratio),
            ]
            cells = [contest.contender, found.baseline, figure.metric, str(len(figure.seeds))]
            cells += [encode_number(value) for value in numbers]
            cells += [figure.difference.method, encode_number(figure.test.p)]
            lines.append(format_line([*cells, encode_number(figure.test.least_p)]))
    return "".join(lines)


def _three(told: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if told is None else (told.mean, told.low, told.high)


def json_text(found: Comparison) -> str:
    """:func:`as_json` as text."""
    return json.dumps(as_json(found), indent=2, allow_nan=False) + "\n"


def write_comparison(folder: Path, found: Comparison) -> list[Path]:
    """Write ``comparison.json``, ``.csv`` and ``.md`` into ``folder``, each whole or not at all.

    Raises:
        ConfigError: the folder cannot be written.
    """
    files = {
        folder / "comparison.json": json_text(found),
        folder / "comparison.csv": as_csv(found),
        folder / "comparison.md": as_markdown(found),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            write_atomically(path, text)
    except OSError as error:
        rule = f"cannot be written ({error.strerror or error})"
        raise ConfigError("out", folder, rule, "choose another folder") from error
    return list(files)
