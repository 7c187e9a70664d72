"""What workers have in common: those of one kind, and all of them.

The numbers of a worker that changed are taken in when somebody asks, so that a slice costs no
more than a note that its worker has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from hrfs.core.estimator_kinds import Common, Pool
from hrfs.core.estimator_worker import Prior, WorkerFilter

KIND_SPREAD = 0.3**2
"""Variance of the logarithm of speed between workers of a kind, before anything is seen."""
OVERHEAD_SPREAD = 0.5
"""Standard deviation of an overhead between workers of a kind, as a part of it, likewise."""
SPEED_DOUBT = 0.1**2
"""Variance added to that of a worker's speed before it weighs: none outweighs ten others."""


class Fleet:
    """Priors for workers, from the other workers."""

    def __init__(self, workers: Mapping[str, WorkerFilter]) -> None:
        self._workers = workers
        self._all = _Group()
        self._kinds: dict[str, _Group] = {}

    def touch(self, worker: str, kind: str) -> None:
        """The worker has learned something."""
        self._all.changed.add(worker)
        if kind:
            group = self._kinds.get(kind)
            if group is None:
                group = self._kinds[kind] = _Group()
            group.changed.add(worker)

    def forget(self, worker: str, kind: str) -> None:
        """What the worker was found to be counts no more; to be called before it changes."""
        self._all.forget(worker)
        if kind in self._kinds:
            self._kinds[kind].forget(worker)

    def prior(self, kind: str) -> Prior:
        """What is expected of a worker of the kind; of kind ``""`` nothing."""
        group = self._kinds.get(kind)
        return group.prior(self._workers) if group is not None else Prior(None, None, None)

    def migration(self, kind: str) -> Common | None:
        """Migration of the workers of the kind if any was seen, else of all workers."""
        return self.prior(kind).g or self._all.prior(self._workers).g


class _Group:
    """What some workers were found to be."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._x, self._o, self._g = Pool(), Pool(), Pool()
        self._prior = Prior(None, None, None)
        self._outdated = False

    def forget(self, name: str) -> None:
        """A worker is no longer one of these."""
        self.changed.discard(name)
        for pool in (self._x, self._o, self._g):
            pool.drop(name)
        self._outdated = True

    def prior(self, workers: Mapping[str, WorkerFilter]) -> Prior:
        """What is expected of one more; takes in the workers that have changed since."""
        if self.changed or self._outdated:
            self._outdated = False
            for name in sorted(self.changed):
                self._take(name, workers[name])
            self.changed.clear()
            self._prior = Prior(self._x.common(KIND_SPREAD), _seconds(self._o), _seconds(self._g))
        return self._prior

    def _take(self, name: str, worker: WorkerFilter) -> None:
        belief = worker.belief
        self._x.put(name, belief.x, belief.xx, 1.0 / (belief.xx + SPEED_DOUBT))
        self._o.put(name, belief.o, belief.oo)
        if worker.migration_known:
            self._g.put(name, belief.g, belief.gg)


def _seconds(pool: Pool) -> Common | None:
    """Mean and spread of seconds, the spread unknown up to a part of the mean."""
    first = pool.common(0.0)
    if first is None:
        return None
    return pool.common((OVERHEAD_SPREAD * first.mean) ** 2)
