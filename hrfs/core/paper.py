"""The paper's rule: fast workers take the trial that lags most, slow ones the leader."""

from __future__ import annotations

from hrfs.core.policy import Choice, Policy, Retire, Snapshot, Start
from hrfs.core.state import Worker


class PaperPolicy(Policy):
    """Heterogeneous resource fusion scheduling as published (``scheduler=hrfs_paper``).

    A worker is slow while unknown, or if all workers together could close the gap between the
    waiting trials and the leader before it finished a single slice. A slow worker takes the
    most advanced waiting trial and half an interval; a fast one the least advanced and a whole
    interval; one whose slice would outlast the rest of the run retires. Once a trial has
    reached the accuracy target, only fast workers go on.
    """

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """Classify the worker and give it its trial; see the class."""
        tca = snapshot.tca.get(worker.name)
        if snapshot.recalled:
            return self._fast(snapshot, "every worker had retired, so all are served as fast")
        if tca is not None:
            gap = snapshot.waiting.gap_slices(snapshot.leader)
            if tca <= gap:
                return self._fast(snapshot, f"fast: TCA {tca} <= gap {gap} slices")
            if tca > snapshot.remaining_slices:
                return Retire(
                    f"one slice here costs {tca} slices elsewhere and only "
                    f"{snapshot.remaining_slices} remain"
                )
            why = f"slow: TCA {tca} > gap {gap} slices"
        else:
            why = "unknown speed"
        if snapshot.target_reached:
            return Retire(f"{why}, and the target is reached")
        return self._slow(snapshot, why)

    @staticmethod
    def _fast(snapshot: Snapshot, why: str) -> Start:
        place = snapshot.waiting.first
        left = snapshot.stop_iterations - place.iteration
        iterations = min(snapshot.interval_iterations, left)
        behind = snapshot.leader - place.iteration
        return Start(
            place.trial, iterations, f"{why}; takes the trial most behind ({behind} iterations)"
        )

    @staticmethod
    def _slow(snapshot: Snapshot, why: str) -> Start:
        place = snapshot.waiting.last
        left = snapshot.stop_iterations - place.iteration
        interval = snapshot.interval_iterations
        # An interval of 1 has no half: a slice is one iteration at least.
        iterations = left if 2 * left < interval else max(1, interval // 2)
        return Start(
            place.trial, iterations, f"{why}; takes the most advanced trial by half an interval"
        )
