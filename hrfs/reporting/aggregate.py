"""Repeated runs of one configuration in one set of figures: what is typical, and how sure that is.

Only runs that finished count. A figure that some run does not have (a target that it did not
reach, a loss that came out NaN) has the mean of those that have it and no confidence interval,
for those that have it are no sample of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hrfs.experiment.errors import ConfigError
from hrfs.reporting import figures
from hrfs.reporting.runs import Gathered, RunFigures, gather, refuse_repeats, require_some
from hrfs.reporting.runs_files import SLICES, LeftOut
from hrfs.reporting.slices_read import read_slices
from hrfs.reporting.statistics import Estimate, estimate

TARGET = "time_to_target_s"
_BEFORE_TEST = ("best", "winner")
_AFTER_TEST = (
    TARGET,
    "makespan_s",
    "bound_s",
    "ratio",
    "worker_h",
    "utilisation",
    "iterations",
    "exploits",
    "failures",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric over the seeds of a group."""

    name: str
    values: Mapping[int, float | None]
    """Seed to value; None was not measured, or not reached."""
    estimate: Estimate
    """Of the values that there are."""

    @property
    def of(self) -> int:
        """Number of seeds, with or without a value."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one configuration, by seed."""

    name: str
    """What sets it apart from the other groups; empty if there is no other."""
    runs: tuple[RunFigures, ...]
    figures: tuple[Figure, ...]

    @property
    def seeds(self) -> list[int]:
        """In ascending order."""
        return [run.seed for run in self.runs]

    @property
    def folders(self) -> list[Path]:
        """Each once; populations that trained together share one."""
        return list(dict.fromkeys(run.folder for run in self.runs))


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What some folders of runs came to."""

    folders: tuple[Path, ...]
    groups: tuple[Group, ...]
    left_out: tuple[LeftOut, ...]


def aggregate(folders: Sequence[Path], targets: Sequence[float] = ()) -> Aggregate:
    """Read all runs at or below ``folders`` and group those that differ in their seed alone.

    ``targets`` are scores, to each of which the time is worked out from ``slices.csv``, in
    seconds from the first start, beside that to the target of the configuration.

    Raises:
        ConfigError: as :func:`hrfs.reporting.runs.read_runs`, or no run has finished.
    """
    gathered = gather(folders)
    refuse_repeats(gathered.runs)
    found = summed_up(gathered, folders, targets)
    require_some(folders, [run for group in found.groups for run in group.runs], found.left_out)
    return found


def summed_up(
    gathered: Gathered, folders: Sequence[Path], targets: Sequence[float] = ()
) -> Aggregate:
    """As :func:`aggregate` of what was read before; there may be no group in it."""
    left_out = list(gathered.left_out)
    groups: dict[str, list[RunFigures]] = {}
    for run in gathered.runs:
        if run.status == "finished":
            groups.setdefault(run.group, []).append(_with_times(run, targets))
        elif all(other.folder != run.folder for other in left_out):
            left_out.append(LeftOut(run.folder, _unfinished(run)))
    made = tuple(_group(name, runs) for name, runs in groups.items())
    return Aggregate(tuple(folders), made, tuple(left_out))


def _unfinished(run: RunFigures) -> str:
    reason = f": {run.reason}" if run.reason else ""
    how = "it gave up" if run.status == "gave up" else f"it was {run.status}"
    return f"{how}{reason}"


def _group(name: str, runs: Sequence[RunFigures]) -> Group:
    ordered = sorted(runs, key=lambda run: run.seed)
    names = sorted({key for run in ordered for key in run.metrics}, key=_rank)
    return Group(name, tuple(ordered), tuple(_figure(key, ordered) for key in names))


def _rank(name: str) -> tuple[int, float, str]:
    """Scores first, then the test set, then times to rising targets, then all the rest."""
    if name in _BEFORE_TEST:
        return 0, _BEFORE_TEST.index(name), name
    if name in _AFTER_TEST:
        return 2, _AFTER_TEST.index(name), name
    score = target_of(name)
    return (1, 0.0, name) if score is None else (2, 0.5, f"{score:030.15f}")


def _figure(name: str, runs: Sequence[RunFigures]) -> Figure:
    values = {run.seed: run.metrics.get(name) for run in runs}
    known = [value for value in values.values() if value is not None]
    found = estimate(known)
    if len(known) < len(values):
        verb = "reached by" if is_time_to(name) else "measured in"
        why = f"none: {verb} {len(known)} of {len(values)}"
        found = replace(found, low=None, high=None, method=why)
    return Figure(name, values, found)


def time_to(score: float) -> str:
    """Name of the metric that is the time to ``score``, in seconds."""
    return f"time_to_{score!r}_s"


def target_of(name: str) -> float | None:
    """Inverse of :func:`time_to`; None for other metrics."""
    head, tail = "time_to_", "_s"
    if name == TARGET or not (name.startswith(head) and name.endswith(tail)):
        return None
    return float(name[len(head) : -len(tail)])


def is_time_to(name: str) -> bool:
    """Whether the metric is the time to some score."""
    return name == TARGET or target_of(name) is not None


def _with_times(run: RunFigures, targets: Sequence[float]) -> RunFigures:
    if not targets:
        return run
    path = run.folder / SLICES
    if not path.is_file():
        raise ConfigError("targets", path, "there is no such file", "leave targets= out")
    first, last = run.trials
    records = [record for record in read_slices(path) if first <= record.trial <= last]
    mode = run.summary["plan"]["mode"]
    times = {time_to(score): figures.time_to_target_s(records, score, mode) for score in targets}
    return replace(run, metrics={**run.metrics, **times})
