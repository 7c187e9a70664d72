"""What people do without fusion, as policies to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from hrfs.core.policy import Choice, Hold, Policy, Retire, Snapshot, Start
from hrfs.core.state import WaitingTrial, Worker, WorkerPhase
from hrfs.core.subset import AFFORDABLE_SLICES, fastest_subset


def _whole_interval(snapshot: Snapshot, place: WaitingTrial, reason: str) -> Start:
    left = snapshot.stop_iterations - place.iteration
    return Start(place.trial, min(snapshot.interval_iterations, left), reason)


class StaticPolicy(Policy):
    """A trial stays on the worker where it started (``scheduler=static``).

    The practice of a job queue: each device takes a trial, keeps it until it is done, then
    takes the next. The slowest device that was given a trial decides when the run ends. A
    decision costs O(1), and a step more per worker that has left and had trials.
    """

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """The worker's own trial, else one that no living worker owns, else nothing."""
        own = snapshot.waiting.first_at(worker.name)
        if own is not None:
            return _whole_interval(snapshot, own, "its own trial")
        orphan = self._first_orphan(snapshot)
        if orphan is None:
            return Hold("every trial that waits belongs to another worker")
        return _whole_interval(snapshot, orphan, "a trial without a worker")

    def order(self, snapshot: Snapshot, free: Sequence[str]) -> Sequence[str]:
        """Without a trial to adopt, nobody needs to be asked again but those with their own."""
        if self._first_orphan(snapshot) is not None:
            return free
        homes, workers = snapshot.waiting.homes, snapshot.workers
        return [name for name in free if name in homes or not workers[name].waiting_told]

    @staticmethod
    def _first_orphan(snapshot: Snapshot) -> WaitingTrial | None:
        places = (
            snapshot.waiting.first_at(home)
            for home in snapshot.waiting.homes
            if home is None or snapshot.workers[home].phase is WorkerPhase.GONE
        )
        return min((place for place in places if place is not None), default=None)


class GreedyPolicy(Policy):
    """Any free worker takes the least advanced trial by a whole interval (``scheduler=greedy``).

    The practice of whoever shares one work queue between unlike devices and treats them as
    alike: no device is ever measured, spared or dismissed, trials advance in step, and at the
    end all wait for the slowest device's last slice. A decision costs O(1).
    """

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """The least advanced trial."""
        return _whole_interval(snapshot, snapshot.waiting.first, "the least advanced trial")


class FastestOnlyPolicy(Policy):
    """Only the subset of workers that would finish first by itself (``scheduler=fastest_only``).

    The practice of choosing devices by hand: measure each once (half an interval), then use
    the m fastest and leave the rest idle, m being best for least-advanced-first scheduling.
    While some are still being measured, those that are best of the measured ones go on. A
    decision costs O(1); each change of the pool costs what :func:`fastest_subset` does.
    """

    def __init__(self) -> None:
        self._asked: tuple[int, int] | None = None
        self._chosen: frozenset[str] = frozenset()
        self._all_measured = False

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """Measure an unknown worker; serve a chosen one; retire any other."""
        least = snapshot.waiting.first
        if worker.first_s_per_iteration is None:
            start = _whole_interval(snapshot, least, "unknown speed: measured by half an interval")
            half = max(1, snapshot.interval_iterations // 2)
            return Start(start.trial, min(start.iterations, half), start.reason)
        if snapshot.recalled:
            return _whole_interval(snapshot, least, "every chosen worker is gone")
        self._choose_fastest(snapshot)
        if worker.name in self._chosen:
            why = "one of the fastest; takes the least advanced trial"
            return _whole_interval(snapshot, least, why)
        if not self._all_measured:
            return Hold("not one of the fastest so far, but not all workers are measured yet")
        return Retire("the faster workers finish sooner without it")

    def order(self, snapshot: Snapshot, free: Sequence[str]) -> Sequence[str]:
        """Those that are held while others are measured need not be asked at every event."""
        if snapshot.recalled:
            return free
        self._choose_fastest(snapshot)
        if self._all_measured:
            return free
        return [name for name in free if not self._is_held(snapshot.workers[name])]

    def _is_held(self, worker: Worker) -> bool:
        unknown = worker.first_s_per_iteration is None
        return worker.waiting_told and not unknown and worker.name not in self._chosen

    def _choose_fastest(self, snapshot: Snapshot) -> None:
        """Note the m fastest measured workers, m such that they finish the run first."""
        asked = (snapshot.pool_changes, len(snapshot.trials))
        if asked == self._asked:  # once per change of the pool, not per decision
            return
        self._asked = asked
        here = [w for w in snapshot.workers.values() if w.phase is not WorkerPhase.GONE]
        measured = sorted(
            (w.first_s_per_iteration, w.name) for w in here if w.first_s_per_iteration is not None
        )
        self._all_measured = len(measured) == len(here)
        if not measured:
            self._chosen = frozenset()
            return
        size = fastest_subset(
            [seconds for seconds, _ in measured],
            len(snapshot.trials),
            snapshot.stop_iterations,
            snapshot.interval_iterations,
            # The choice among the measured ones holds until the next one is measured.
            AFFORDABLE_SLICES if self._all_measured else AFFORDABLE_SLICES // 10,
        )
        self._chosen = frozenset(name for _, name in measured[:size])


class RayPbtPolicy(Policy):
    """Trials where Ray Tune's PopulationBasedTraining would place them (simulated only).

    The practice of Ray Tune's asynchronous PBT: every trial asks for the same resources, fixed
    before the run, so that only workers of one kind can serve. At each perturbation interval a
    trial goes on where it is if no other waits; otherwise it pauses, and the trial whose last
    perturbation was earliest takes its place, equals in the order in which they paused. A real
    run has Ray's own scheduler for that (``scheduler=ray_pbt``). A decision costs O(1).

    Args:
        kind: What the trials ask for: a kind of worker up to its first colon, since Tune's
            ``{"GPU": 1}`` knows no models of GPU.
    """

    def __init__(self, kind: str) -> None:
        self._kind = _request(kind)
        self._seen = False

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        """The least advanced trial, on a worker of the requested kind."""
        if _request(worker.kind) == self._kind:
            why = "paused at the earliest interval of those that wait"
            return _whole_interval(snapshot, snapshot.waiting.first, why)
        if snapshot.recalled:
            why = f"every {self._kind} worker is gone: the request would be changed by hand"
            return _whole_interval(snapshot, snapshot.waiting.first, why)
        if not self._seen:  # workers join one by one: those requested may yet come
            self._seen = any(_request(w.kind) == self._kind for w in snapshot.workers.values())
        if not self._seen:
            return Hold(f"no {self._kind} worker, as every trial asks for, has joined yet")
        return Retire(f"every trial asks for a {self._kind} worker")


def _request(kind: str) -> str:
    return kind.partition(":")[0]
