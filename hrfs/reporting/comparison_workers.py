"""What the compared runs made of their workers: how busy each was, and what was possible."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hrfs.core.bound import level_bound
from hrfs.reporting.runs import RunFigures


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """Busy share of one worker over the makespan, mean over the seeds; the rest it was idle."""

    name: str
    kind: str
    mine: float | None
    """None if the contender's runs had no such worker."""
    theirs: float | None


@dataclass(frozen=True, slots=True)
class ClusterFigures:
    """What the whole cluster could do, whatever the scheduler made of it; means over seeds.

    C* is that of the plan's work on all workers, at the speeds measured by whichever of the
    seed's two runs used more of them: a scheduler that leaves workers alone does not measure
    them, and its own C* knows nothing of them.
    """

    bound_s: float | None
    mine_ratio: float | None
    """Makespan of the contender / C*."""
    theirs_ratio: float | None
    ceiling: float | None
    """Sum of all speeds / sum of the GPUs' speeds: the most that the other workers can add."""


def cluster_figures(my: Sequence[RunFigures], their: Sequence[RunFigures]) -> ClusterFigures:
    """Of the runs of the same seeds, in the same order."""
    bounds, mine, theirs, ceilings = [], [], [], []
    for run, other in zip(my, their, strict=True):
        telling = max(run, other, key=lambda r: len(_speeds(r)))
        speeds = _speeds(telling)
        if not speeds:
            continue
        plan = telling.summary["plan"]
        bound_s = level_bound([plan["stop_iterations"]] * plan["trials"], list(speeds.values()))
        bounds.append(bound_s)
        mine.append(_over(run, bound_s))
        theirs.append(_over(other, bound_s))
        ceilings.append((telling.summary.get("over_gpus") or {}).get("ceiling"))
    return ClusterFigures(_mean(bounds), _mean(mine), _mean(theirs), _mean(ceilings))


def _speeds(run: RunFigures) -> dict[str, float]:
    """Iterations per second of each worker that was measured."""
    workers = run.summary["workers"]
    return {w["name"]: w["iterations_per_s"] for w in workers if w["iterations_per_s"]}


def _over(run: RunFigures, bound_s: float) -> float | None:
    makespan_s = run.metrics.get("makespan_s")
    return None if makespan_s is None else makespan_s / bound_s


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def worker_shares(my: Sequence[RunFigures], their: Sequence[RunFigures]) -> tuple[WorkerShare, ...]:
    """Of all workers that any of the runs had, in the order in which they come."""
    mine, theirs = _shares(my), _shares(their)
    kinds = {w["name"]: w["kind"] for run in (*their, *my) for w in run.summary["workers"]}
    return tuple(
        WorkerShare(name, kinds[name], _mean(mine.get(name, ())), _mean(theirs.get(name, ())))
        for name in dict.fromkeys((*mine, *theirs))
    )


def _shares(runs: Sequence[RunFigures]) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    for run in runs:
        for worker in run.summary["workers"]:
            found.setdefault(worker["name"], []).append(worker["utilisation"])
    return found


def requests(runs: Sequence[RunFigures]) -> dict[str, int]:
    """What every trial of Ray's own PBT asked for, and in how many of the runs."""
    asked = [told for run in runs if (told := run.summary.get("request"))]
    return dict(Counter(_described(told) for told in asked))


def _described(told: Mapping[str, Any]) -> str:
    (mine,) = [c for c in told["candidates"] if c["request"] == told["chosen"]]
    return (
        f"{told['chosen']} on {mine['workers']} {told['kind']} worker{'s' * (mine['workers'] > 1)}"
    )
