"""Who watches a run: files, TensorBoard, the console."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from hrfs.experiment.plan import Plan
from hrfs.experiment.records import (
    ExploitRecord,
    FailureRecord,
    RollbackRecord,
    SliceRecord,
    SliceStart,
    WorkerInfo,
)


class RunObserver(Protocol):
    """Is told what happens, in the order in which it happens, from one thread.

    An observer never changes the run. What it raises ends the run, so an observer that can do
    without a failed write handles that itself and says so in the log.
    """

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        """The run begins with these workers (``plan`` does not change any more)."""

    def on_workers(self, time_s: float, joined: Sequence[WorkerInfo], left: Sequence[str]) -> None:
        """Workers came or went while the run was under way."""

    def on_worker_state(self, time_s: float, worker: str, state: str, reason: str) -> None:
        """The scheduler retired, recalled or kept waiting a worker."""

    def on_worker_facts(self, time_s: float, worker: str, facts: Mapping[str, Any]) -> None:
        """A worker told of itself, as plain values: how it trains, on what."""

    def on_slice_start(self, start: SliceStart) -> None:
        """A slice was handed to its worker."""

    def on_slice(self, record: SliceRecord) -> None:
        """A slice ended with a result, and its trial's state is safe."""

    def on_exploit(self, record: ExploitRecord) -> None:
        """A trial took over another one's weights."""

    def on_failure(self, record: FailureRecord) -> None:
        """A slice was lost; its trial goes on from where it was before it."""

    def on_rollback(self, record: RollbackRecord) -> None:
        """A trial went back to an older checkpoint, or to its beginning."""

    def on_trial_end(self, time_s: float, trial: int, reason: str) -> None:
        """A trial trains no more."""

    def on_tick(self, time_s: float) -> None:
        """Time has passed; called several times a second."""

    def on_end(self, time_s: float) -> None:
        """The run is over; files are to be closed."""


class Observer:
    """Base class with empty methods, for observers that care about a few of the events."""

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None: ...

    def on_workers(
        self, time_s: float, joined: Sequence[WorkerInfo], left: Sequence[str]
    ) -> None: ...

    def on_worker_state(self, time_s: float, worker: str, state: str, reason: str) -> None: ...

    def on_worker_facts(self, time_s: float, worker: str, facts: Mapping[str, Any]) -> None: ...

    def on_slice_start(self, start: SliceStart) -> None: ...

    def on_slice(self, record: SliceRecord) -> None: ...

    def on_exploit(self, record: ExploitRecord) -> None: ...

    def on_failure(self, record: FailureRecord) -> None: ...

    def on_rollback(self, record: RollbackRecord) -> None: ...

    def on_trial_end(self, time_s: float, trial: int, reason: str) -> None: ...

    def on_tick(self, time_s: float) -> None: ...

    def on_end(self, time_s: float) -> None: ...


class Observers:
    """Hands every event to several observers in turn; an observer itself."""

    def __init__(self, observers: Sequence[RunObserver]) -> None:
        self._observers = tuple(observers)

    @property
    def members(self) -> tuple[RunObserver, ...]:
        """The observers, in the order in which they are told."""
        return self._observers

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        for observer in self._observers:
            observer.on_start(plan, workers)

    def on_workers(self, time_s: float, joined: Sequence[WorkerInfo], left: Sequence[str]) -> None:
        for observer in self._observers:
            observer.on_workers(time_s, joined, left)

    def on_worker_state(self, time_s: float, worker: str, state: str, reason: str) -> None:
        for observer in self._observers:
            observer.on_worker_state(time_s, worker, state, reason)

    def on_worker_facts(self, time_s: float, worker: str, facts: Mapping[str, Any]) -> None:
        for observer in self._observers:
            observer.on_worker_facts(time_s, worker, facts)

    def on_slice_start(self, start: SliceStart) -> None:
        for observer in self._observers:
            observer.on_slice_start(start)

    def on_slice(self, record: SliceRecord) -> None:
        for observer in self._observers:
            observer.on_slice(record)

    def on_exploit(self, record: ExploitRecord) -> None:
        for observer in self._observers:
            observer.on_exploit(record)

    def on_failure(self, record: FailureRecord) -> None:
        for observer in self._observers:
            observer.on_failure(record)

    def on_rollback(self, record: RollbackRecord) -> None:
        for observer in self._observers:
            observer.on_rollback(record)

    def on_trial_end(self, time_s: float, trial: int, reason: str) -> None:
        for observer in self._observers:
            observer.on_trial_end(time_s, trial, reason)

    def on_tick(self, time_s: float) -> None:
        for observer in self._observers:
            observer.on_tick(time_s)

    def on_end(self, time_s: float) -> None:
        for observer in self._observers:
            observer.on_end(time_s)


class LateObservers(Observers):
    """Keeps what is to be told until :meth:`flush`, in order.

    For a driver whose workers wait while it tells.
    """

    def __init__(self, observers: Sequence[RunObserver]) -> None:
        super().__init__(observers)
        self._untold: list[Callable[[], None]] = []

    def flush(self) -> None:
        """Tell the observers what has been kept."""
        untold, self._untold = self._untold, []
        for tell in untold:
            tell()

    def on_workers(self, time_s: float, joined: Sequence[WorkerInfo], left: Sequence[str]) -> None:
        self._untold.append(partial(super().on_workers, time_s, joined, left))

    def on_worker_state(self, time_s: float, worker: str, state: str, reason: str) -> None:
        self._untold.append(partial(super().on_worker_state, time_s, worker, state, reason))

    def on_worker_facts(self, time_s: float, worker: str, facts: Mapping[str, Any]) -> None:
        self._untold.append(partial(super().on_worker_facts, time_s, worker, facts))

    def on_slice_start(self, start: SliceStart) -> None:
        self._untold.append(partial(super().on_slice_start, start))

    def on_slice(self, record: SliceRecord) -> None:
        self._untold.append(partial(super().on_slice, record))

    def on_exploit(self, record: ExploitRecord) -> None:
        self._untold.append(partial(super().on_exploit, record))

    def on_failure(self, record: FailureRecord) -> None:
        self._untold.append(partial(super().on_failure, record))

    def on_rollback(self, record: RollbackRecord) -> None:
        self._untold.append(partial(super().on_rollback, record))

    def on_trial_end(self, time_s: float, trial: int, reason: str) -> None:
        self._untold.append(partial(super().on_trial_end, time_s, trial, reason))
