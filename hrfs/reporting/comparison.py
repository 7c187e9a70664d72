"""Which runs are held against which: groups that differ in one key, paired by their seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.reporting.comparison_pairs import Paired, pair
from hrfs.reporting.comparison_workers import (
    ClusterFigures,
    WorkerShare,
    cluster_figures,
    requests,
    worker_shares,
)
from hrfs.reporting.runs import RunFigures, gather
from hrfs.reporting.runs_groups import telling_values

BASELINE = "ray_pbt"
SCHEDULER = "scheduler.policy"
"""The key whose neighbours are settings of the scheduler that it names."""
TIMES = ("makespan_s", "time_to_target_s")
SCORES = ("best", "winner")
OTHERS = ("iterations", "utilisation", "ratio")


@dataclass(frozen=True, slots=True)
class Contest:
    """One group against the baseline, over the seeds that both have."""

    contender: str
    seeds: tuple[int, ...]
    left_out: Mapping[int, str]
    """Seeds that only one side has: which side that is."""
    figures: tuple[Paired, ...]
    reached: tuple[int, int] | None
    """In how many of the seeds the contender and the baseline reached the target."""
    cluster: ClusterFigures
    workers: tuple[WorkerShare, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All groups against the baseline."""

    by: str
    baseline: str
    target: float | None
    emulated: bool
    contests: tuple[Contest, ...]
    requests: Mapping[str, int]
    """What ``ray_pbt`` asked for, and in how many runs."""
    notes: tuple[str, ...]
    """Runs that were left out, and why."""


def compare(folders: Sequence[Path], by: str, baseline: str | None = None) -> Comparison:
    """Read the runs below ``folders`` and hold each group against the baseline.

    Args:
        by: dotted key of the configuration; a group is the runs that have one value of it.
        baseline: that key's value in the group to compare with; None is ``ray_pbt``, or the
            first group if there is no such.

    Raises:
        ConfigError: no run, one group alone, no such baseline, no seed that both sides have, or
            groups that differ in other keys too.
    """
    found = gather(folders)
    notes = [f"left out {out.folder}: {out.reason}" for out in found.left_out]
    runs: list[RunFigures] = []
    for run in found.runs:
        fault = _unfit(run)
        if fault:
            notes.append(f"left out {run.folder}, seed {run.seed}: {fault}")
        else:
            runs.append(run)
    groups = _grouped(runs, by, folders)
    chosen = _baseline(groups, by, baseline)
    _refuse_other_differences(groups, by)
    contests = tuple(
        _contest(name, groups[name], chosen, groups[chosen]) for name in groups if name != chosen
    )
    any_run = runs[0]
    return Comparison(
        by=by,
        baseline=chosen,
        target=any_run.summary["plan"]["target_score"],
        emulated=any(bool(run.summary["emulated"]) for run in runs),
        contests=contests,
        requests=requests(runs),
        notes=tuple(notes),
    )


def _unfit(run: RunFigures) -> str:
    """Why a run's times are no one's to compare; empty if they are."""
    if run.status != "finished":
        return f"it is {run.status}, so it has no makespan"
    if run.shared:
        return "other populations trained in the same run, on the same workers"
    return ""


_Groups = dict[str, dict[int, RunFigures]]


def _grouped(runs: Sequence[RunFigures], by: str, folders: Sequence[Path]) -> _Groups:
    """Value of the key to the runs that have it, by seed, in the order in which they come."""
    groups: _Groups = {}
    for run in runs:
        group = groups.setdefault(_value(run, by), {})
        other = group.setdefault(run.seed, run)
        if other is not run:
            keys = _differences([other, run])
            rule = (
                f"{by}={_value(run, by)} has more than one run of seed {run.seed}, in "
                f"{other.folder} and {run.folder}, which differ in {', '.join(keys)}"
            )
            raise ConfigError("by", by, rule, "give folders that hold one of them")
    shown = ", ".join(map(str, folders))
    if not groups:
        raise ConfigError("folder", shown, "has no finished run", "let the runs come to their end")
    if len(groups) == 1:
        (only,) = groups
        rule = f"all {len(runs)} finished runs have {by}={only}"
        raise ConfigError("folder", shown, rule, "a comparison needs two values of it")
    return groups


def _value(run: RunFigures, by: str) -> str:
    value: Any = run.config
    for part in by.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise ConfigError("by", by, f"is no key of {run.folder}", "e.g. by=scheduler.policy")
        value = value[part]
    if isinstance(value, Mapping):
        rule = f"is a group of keys: {', '.join(map(str, value))}"
        raise ConfigError("by", by, rule, "name one of them")
    return str(value)


def _baseline(groups: _Groups, by: str, wanted: str | None) -> str:
    if wanted is None:
        return BASELINE if BASELINE in groups else next(iter(groups))
    if wanted not in groups:
        rule = f"no finished run has {by}={wanted}"
        raise ConfigError("baseline", wanted, rule, f"there are {', '.join(groups)}")
    return wanted


def _refuse_other_differences(groups: _Groups, by: str) -> None:
    """A difference that another key may have made is nobody's to judge.

    Keys beside ``by`` that come with one value of it and not with another belong to it, and so
    do all settings of a scheduler. Within a group none may differ.
    """
    everyone = [run for group in groups.values() for run in group.values()]
    flat = [telling_values(run.config) for run in everyone]
    others = [key for key in _differences(everyone) if not _belongs(key, by, flat)]
    inside = [key for group in groups.values() for key in _differences(list(group.values()))]
    keys = sorted({*others, *inside})
    if keys:
        many = "keys differ" if len(keys) > 1 else "key differs"
        rule = f"other {many} between the runs: {', '.join(keys)}"
        raise ConfigError("by", by, rule, "compare runs that differ in one key and the seed")


def _belongs(key: str, by: str, flat: Sequence[Mapping[str, Any]]) -> bool:
    group, dot, _ = by.rpartition(".")
    if key == by or not dot or not key.startswith(f"{group}."):
        return key == by
    return by == SCHEDULER or any(key not in config for config in flat)


def _differences(runs: Sequence[RunFigures]) -> list[str]:
    """Keys whose value is not the same in all ``runs``; a missing key is null."""
    flat = [telling_values(run.config) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    return [key for key in keys if any(one.get(key) != flat[0].get(key) for one in flat[1:])]


def _contest(
    name: str, mine: Mapping[int, RunFigures], base: str, theirs: Mapping[int, RunFigures]
) -> Contest:
    seeds = tuple(sorted(mine.keys() & theirs.keys()))
    if not seeds:
        rule = f"has no seed in common with {name}"
        listed = f"{base} has {_list(theirs)}, {name} has {_list(mine)}"
        raise ConfigError("baseline", base, rule, listed)
    mine_only = {seed: name for seed in mine if seed not in theirs}
    theirs_only = {seed: base for seed in theirs if seed not in mine}
    my, their = [mine[seed] for seed in seeds], [theirs[seed] for seed in seeds]
    return Contest(
        contender=name,
        seeds=seeds,
        left_out=dict(sorted({**mine_only, **theirs_only}.items())),
        figures=tuple(_figures(my, their)),
        reached=_reached(my, their),
        cluster=cluster_figures(my, their),
        workers=worker_shares(my, their),
    )


def _list(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


def _figures(my: Sequence[RunFigures], their: Sequence[RunFigures]) -> Iterable[Paired]:
    known = dict.fromkeys(name for run in (*my, *their) for name in run.metrics)
    tests = [name for name in known if name.startswith("test/")]
    for metric in (*TIMES, *SCORES, *tests, *OTHERS):
        if metric in known:
            yield pair(
                metric,
                {run.seed: run.metrics.get(metric) for run in my},
                {run.seed: run.metrics.get(metric) for run in their},
                is_time=metric in TIMES,
            )


def _reached(my: Sequence[RunFigures], their: Sequence[RunFigures]) -> tuple[int, int] | None:
    if my[0].summary["plan"]["target_score"] is None:
        return None
    return _how_many(my), _how_many(their)


def _how_many(runs: Sequence[RunFigures]) -> int:
    return sum(run.metrics.get("time_to_target_s") is not None for run in runs)
