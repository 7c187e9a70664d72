"""Runs read back from their folders, side by side: which seed, which configuration, what came out.

Nothing is known here but the files of each run: ``summary.json``, ``config.yaml``, what Hydra
wrote into ``.hydra``, and ``failure.json`` of a job that raised.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import digits
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.reporting.runs_files import LeftOut, RunFiles, is_run, read_files
from hrfs.reporting.runs_groups import group_names
from hrfs.reporting.runs_metrics import Population, populations_of

_EXAMPLE = "give the folder of a sweep, such as multirun/2026-01-31/12-00-00"


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One seed's population: how it was configured and what it came to."""

    folder: Path
    seed: int
    config: Mapping[str, Any]
    """Resolved configuration, the seed included."""
    group: str
    """What tells its configuration from those of the other runs read, the seed aside."""
    status: str
    """``finished``, ``interrupted`` or ``gave up``."""
    shared: bool
    """Whether other populations trained in the same run, on the same workers."""
    metrics: Mapping[str, float | None]
    """By name (:mod:`hrfs.reporting.runs_metrics`); None is not measured, or not finite."""
    summary: Mapping[str, Any]
    """``summary.json`` of the whole run."""
    trials: tuple[int, int]
    """First and last trial of the population."""
    reason: str = ""
    """Why the run ended before its end; empty if it finished."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found below some folders."""

    runs: tuple[RunFigures, ...]
    left_out: tuple[LeftOut, ...]


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """Folders of runs at or below ``folders``, each once, in the order given; 9 before 10.

    A folder counts as soon as a run was started in it, whatever became of that run.

    Raises:
        ConfigError: one of them is no folder, or there is no run in it.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError("folder", folder, "there is no such folder", _EXAMPLE)
        inside = list(runs_below(folder))
        if not inside:
            raise ConfigError("folder", folder, "has no run in it", _EXAMPLE)
        for run in inside:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def runs_below(folder: Path) -> Iterator[Path]:
    """``folder`` itself if it is that of a run, else those in it, hidden folders left out."""
    if is_run(folder):
        yield folder
        return
    with os.scandir(folder) as entries:
        inner = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    for name in sorted((n for n in inner if not n.startswith(".")), key=_natural):
        yield from runs_below(folder / name)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sorts the numbers in names by their value, and before words."""
    parts = filter(None, re.split(r"([0-9]+)", name))
    return [(False, int(p), "") if p[0] in digits else (True, 0, p) for p in parts]


def read_runs(folders: Sequence[Path]) -> list[RunFigures]:
    """Every whole run at or below ``folders``; one of several populations gives one for each.

    Raises:
        ConfigError: as :func:`gather` and :func:`refuse_repeats`, or none of the runs is whole.
    """
    gathered = gather(folders)
    refuse_repeats(gathered.runs)
    require_some(folders, gathered.runs, gathered.left_out)
    return list(gathered.runs)


def require_some(
    folders: Sequence[Path], runs: Sequence[RunFigures], left_out: Sequence[LeftOut]
) -> None:
    """Refuse ``folders`` in which there is no run to take figures from.

    Raises:
        ConfigError: ``runs`` is empty.
    """
    if not runs:
        shown = ", ".join(str(folder) for folder in folders)
        others = f", nor have {len(left_out) - 1} more" if len(left_out) > 1 else ""
        rule = f"has no figures in it: {left_out[0].folder}: {left_out[0].reason}{others}"
        raise ConfigError("folder", shown, rule, "let a run come to its end")


def gather(folders: Sequence[Path]) -> Gathered:
    """Every whole run at or below ``folders``, and the others with what is wrong with them.

    Raises:
        ConfigError: no folder, no run in it, or one that a newer hrfs wrote.
    """
    read = [read_files(folder) for folder in find_runs(folders)]
    left_out = tuple(run for run in read if isinstance(run, LeftOut))
    runs: list[RunFigures] = []
    whole = [run for run in read if isinstance(run, RunFiles)]
    pairs = [(run, populations_of(run.summary)) for run in whole]
    names = group_names([(run, len(populations)) for run, populations in pairs])
    for (run, populations), name in zip(pairs, names, strict=True):
        runs += [_figures(run, population, len(populations), name) for population in populations]
    return Gathered(tuple(runs), left_out)


def _figures(run: RunFiles, population: Population, populations: int, group: str) -> RunFigures:
    return RunFigures(
        folder=run.folder,
        seed=population.seed,
        config=run.config,
        group=group,
        status=str(run.summary["status"]),
        shared=populations > 1,
        metrics=population.metrics,
        summary=run.summary,
        trials=population.trials,
        reason=str(run.summary.get("reason", "")),
    )


def refuse_repeats(runs: Sequence[RunFigures]) -> None:
    """Refuse the same seed of the same configuration twice: it would narrow every interval.

    Runs that did not finish may stand beside those that made up for them.

    Raises:
        ConfigError: two of them finished; both folders are named.
    """
    seen: dict[tuple[str, int], Path] = {}
    for run in (run for run in runs if run.status == "finished"):
        other = seen.setdefault((run.group, run.seed), run.folder)
        if other is not run.folder:
            which = f" of {run.group}" if run.group else ""
            rule = f"was run twice{which}, in {other} and in {run.folder}"
            raise ConfigError("seed", run.seed, rule, "give only one of the two folders")
