"""What the inbound and the outbound half of the adapter share during one run."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial

from hrfs.core.scheduler import Scheduler
from hrfs.core.state import RunningSlice
from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.event_replay import Replay
from hrfs.experiment.observer import LateObservers
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import FailureKind, FailureRecord
from hrfs.tuning.dispatch import Dispatched
from hrfs.tuning.exploits import Exploits
from hrfs.tuning.pool import WorkerPool
from hrfs.tuning.privates import Controller
from hrfs.tuning.session import started_here

log = logging.getLogger("hrfs")


@dataclass(slots=True)
class Memory:
    """What outlives the driver, by way of the event log."""

    core: Scheduler
    numbers: dict[str, int] = field(default_factory=dict)
    """Number of each trial, by Tune's id."""
    exploits: Exploits = field(default_factory=Exploits)
    own_failures: dict[int, int] = field(default_factory=dict)
    """Slices of each trial that ended in an exception of its own."""
    elapsed_s: float = 0.0

    @classmethod
    def of(cls, replay: Replay) -> Memory:
        """What the event log says."""
        return cls(
            core=replay.core,
            numbers=dict(replay.numbers),
            exploits=Exploits(replay.copies, replay.exploits),
            own_failures=dict(replay.own_failures),
            elapsed_s=replay.elapsed_s,
        )


class Context:
    """One driver's run: its memory, the cluster as it is now, and who watches."""

    def __init__(
        self, plan: Plan, cluster: ClusterSettings, memory: Memory, observers: LateObservers
    ) -> None:
        self.plan = plan
        self.cluster = cluster
        self.memory = memory
        self.observers = observers
        self.pool = WorkerPool(cluster)
        self.trials: dict[int, Trial] = {}
        self.dispatched: dict[int, Dispatched] = {}
        self._controller: Controller | None = None
        self._clock_start_s = time.monotonic() - memory.elapsed_s

    @property
    def core(self) -> Scheduler:
        """The scheduling core."""
        return self.memory.core

    @property
    def controller(self) -> Controller:
        """Tune's controller, known from the first turn of its loop on."""
        assert self._controller is not None
        return self._controller

    def attach(self, tune_controller: Any) -> bool:
        """Take Tune's controller; True at the first call."""
        first = self._controller is None
        if first:
            self._controller = Controller(tune_controller)
            self._controller.watch_errors()
            self._controller.outlive_snapshots()
            if started_here():
                self._controller.start_plainly()
        return first

    @property
    def now_s(self) -> float:
        """Seconds since the start of the run, earlier drivers' included."""
        self.memory.elapsed_s = time.monotonic() - self._clock_start_s
        return self.memory.elapsed_s

    def slice_of(self, trial: int) -> RunningSlice | None:
        """The slice that ``trial`` is in, if it is in one."""
        running = self.core.state.running.values()
        return next((s for s in running if s.trial == trial), None)

    def tell_lost(
        self, lost: RunningSlice, reason: str, kind: FailureKind = "unknown", traceback: str = ""
    ) -> None:
        """Log and record a slice that brought nothing."""
        log.warning(
            "slice %d of trial %d on %s is lost: %s", lost.number, lost.trial, lost.worker, reason
        )
        self.observers.on_failure(
            FailureRecord(self.now_s, lost.number, lost.trial, lost.worker, reason, kind, traceback)
        )
