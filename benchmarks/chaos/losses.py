"""Which kill cost which slice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.chaos.faults import Kill
from benchmarks.chaos.log import NOT_BACK, Loss, Start
from benchmarks.chaos.run import Run


@dataclass
class Losses:
    """The slices that were repeated, and what no kill accounts for."""

    under_way: list[Start] = field(default_factory=list)
    """Slices that ended without a result."""
    rolled_back: list[int] = field(default_factory=list)
    """Iterations of each slice that had counted and was done again: its checkpoint was damaged."""
    broken: list[str] = field(default_factory=list)

    @property
    def repeated(self) -> int:
        """Slices that were done again."""
        return len(self.under_way) + len(self.rolled_back)

    @property
    def iterations(self) -> int:
        """At most so many can be lost."""
        return sum(start.iterations for start in self.under_way) + sum(self.rolled_back)


def attribute(run: Run) -> Losses:
    """Give each lost slice to the last kill before it that hit its worker, or its checkpoint.

    The kill of a cluster costs what was under way at that moment. A kill that costs
    more than one slice of a worker, and a slice that no kill accounts for, are faults.
    """
    found = Losses()
    costs: Counter[tuple[int, str]] = Counter()
    bytes_changed = sum(kill.kind == "byte" for kill in run.kills)
    for kill in run.kills:
        if kill.kind == "cluster":
            found.under_way += kill.under_way
    for loss in run.log.losses:
        if loss.event == "CheckpointLost":
            continue  # nothing was done in it yet
        if loss.reason.endswith(NOT_BACK):
            continue  # with the cluster that was killed
        index = _last_before(run.kills, loss)
        found.under_way.append(loss.start)
        if index is None:
            found.broken.append(f"slice {loss.start.slice} was lost to no kill: {loss.reason}")
            continue
        costs[index, loss.start.worker] += 1
    for (index, worker), count in costs.items():
        if count > 1:
            kind = run.kills[index].kind
            found.broken.append(f"kill {index + 1} ({kind}) cost {count} slices of {worker}")
    found.rolled_back = _rolled_back(run)
    if found.rolled_back and not bytes_changed:
        found.broken.append(f"{sum(found.rolled_back)} iterations were rolled back for no damage")
    return found


def _last_before(kills: Sequence[Kill], loss: Loss) -> int | None:
    hits = (
        index
        for index, kill in enumerate(kills)
        if _machine(loss.start.worker) in map(_machine, kill.workers)
        and kill.kind != "cluster"
        and kill.line <= loss.line
    )
    return max(hits, default=None)


def _machine(worker: str) -> str:
    """A node that came back may have a worker called ``slow~2/cpu:0``: of one machine, here."""
    return re.sub(r"~\d+/", "/", worker)


def _rolled_back(run: Run) -> list[int]:
    """Iterations by which trials went back, each time that one did."""
    back = []
    for steps in run.log.story.values():
        at = 0
        for step in steps:
            if step is not None:
                if step[0] < at:
                    back.append(at - step[0])
                at = step[1]
    return back
