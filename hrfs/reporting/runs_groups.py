"""Which runs are repetitions of one another, and a short name for each such group."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hrfs.reporting.runs_files import RunFiles

_APART = ("seed", "seeds", "report", "logger")
"""Top-level keys that tell no configuration from another; the last two say what is shown."""
POPULATIONS = "populations"
"""Stands for populations that trained in one run; their times are no single run's."""

_Facts = Mapping[str, str]


def group_names(runs: Sequence[tuple[RunFiles, int]]) -> list[str]:
    """For each run and number of its populations ``key=value, ...`` of what sets it apart.

    Runs with the same configuration but for the seed and what the console shows have the same
    name, all others have different ones. A difference is told by the chosen options of
    configuration groups as far as these decide it (``scheduler=static``), and key by key beyond.
    Without a difference the name is empty.
    """
    columns = _columns([_facts(run.config, populations) for run, populations in runs])
    identities = list(zip(*(column for _, column in columns), strict=True))
    candidates = [*_telling_choices([run for run, _ in runs], identities), *columns]
    chosen: dict[str, list[str]] = {}
    for key, column in candidates:
        if len(set(column)) > 1 and not _decided(column, list(chosen.values())):
            chosen[key] = column
    names = [
        ", ".join(f"{key}={column[index]}" for key, column in chosen.items())
        for index in range(len(runs))
    ]
    assert len(set(names)) == len(set(identities)), "groups and names are not one to one"
    return names


def _facts(config: Mapping[str, Any], populations: int) -> dict[str, str]:
    """Dotted key to value as text, nulls left out: a key that an older hrfs lacked is null."""
    flat = {key: _text(v) for key, v in telling_values(config).items() if v is not None}
    if populations > 1:
        flat[POPULATIONS] = str(populations)
    return flat


def telling_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key to value of all that may tell a configuration from another."""
    return dict(_leaves({key: value for key, value in config.items() if key not in _APART}))


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _columns(facts: Sequence[_Facts]) -> list[tuple[str, list[str]]]:
    keys = dict.fromkeys(key for fact in facts for key in fact)
    return [(key, [fact.get(key, _absent(key)) for fact in facts]) for key in keys]


def _absent(key: str) -> str:
    return "1" if key == POPULATIONS else "null"


def _telling_choices(
    runs: Sequence[RunFiles], identities: Sequence[tuple[str, ...]]
) -> list[tuple[str, list[str]]]:
    """Group choices that all runs name and that never differ between runs of one configuration."""
    groups = dict.fromkeys(group for run in runs for group in run.choices)
    found = []
    for group in groups:
        if all(group in run.choices for run in runs):
            column = [run.choices[group] for run in runs]
            if _decided(column, [identities]):
                found.append((group, column))
    return found


def _decided(column: Sequence[str], by: Sequence[Sequence[object]]) -> bool:
    """Whether runs that agree in all of ``by`` agree in ``column``."""
    seen: dict[tuple[object, ...], str] = {}
    for index, value in enumerate(column):
        if seen.setdefault(tuple(other[index] for other in by), value) != value:
            return False
    return True
