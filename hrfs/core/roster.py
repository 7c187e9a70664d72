"""Workers in order of speed, and what they hold: what a policy asks of the whole pool.

Speeds are sorted into classes of 1/16 octave (4.4 %), the fastest first, so that "all workers
faster than this one" is a sum over the classes before its own. Every change and every question
costs O(log classes), whatever the number of workers and trials.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import NamedTuple

from hrfs.core.fenwick import Fenwick
from hrfs.core.held import HeldTrials
from hrfs.core.newcomers import Newcomers

PER_OCTAVE = 16
"""Classes of speed per factor of two."""
OCTAVES = 48
"""Speeds from 2**-24 to 2**24 iterations per second; what lies beyond counts as the last."""
_CLASSES = PER_OCTAVE * OCTAVES


class Faster(NamedTuple):
    """The workers faster than a given speed, and the trials that they can get at."""

    workers: int
    speed: float
    """Their iterations per second together."""
    out_of_reach: int
    """Trials held by workers that are not faster."""
    level_out_of_reach_iterations: float
    """Iterations done by those trials, summed."""


def speed_class(speed: float) -> int:
    """Class of a speed in iterations per second; lower is faster."""
    place = math.floor((OCTAVES / 2 - math.log2(speed)) * PER_OCTAVE)
    return min(max(place, 0), _CLASSES - 1)


class Roster:
    """Workers of known speed that may be given work, and the slices under way."""

    def __init__(self) -> None:
        self._class_of: dict[str, tuple[int, float]] = {}
        self._workers = Fenwick(_CLASSES)
        self._speeds = Fenwick(_CLASSES)
        self._squares = 0.0
        self._retired: list[tuple[float, str]] = []
        self._retired_at: dict[str, tuple[float, str]] = {}
        self._newcomers = Newcomers()
        self._held = HeldTrials(_CLASSES)

    def __len__(self) -> int:
        return len(self._class_of)

    @property
    def total_speed(self) -> float:
        """Iterations per second of all workers together."""
        return self._speeds.total

    def set_speed(self, worker: str, speed: float) -> None:
        """A worker's speed in iterations per second; the latest counts."""
        place = speed_class(speed)
        known = self._class_of.get(worker)
        if known is not None and known[0] == place:  # mostly: what is learned changes little
            self._class_of[worker] = (place, speed)
            self._speeds.add(place, speed - known[1])
            self._squares += speed * speed - known[1] * known[1]
            return
        self._newcomers.discard(worker)
        self._take_out(worker)
        self._class_of[worker] = (place, speed)
        self._workers.add(place, 1)
        self._speeds.add(place, speed)
        self._squares += speed * speed

    def drop(self, worker: str) -> None:
        """Forget the worker; nothing happens if it is not here."""
        self._newcomers.discard(worker)
        place = self._retired_at.pop(worker, None)
        if place is not None:
            del self._retired[bisect_left(self._retired, place)]
        self._take_out(worker)

    def retire(self, worker: str) -> None:
        """The worker gets nothing for now, and no longer counts among the others."""
        place = self._retired_at[worker] = (-(self.speed(worker) or 0.0), worker)
        insort(self._retired, place)
        self._newcomers.discard(worker)
        self._take_out(worker)

    @property
    def fastest_retired(self) -> str | None:
        """The retired worker of the highest speed, if any is retired."""
        return self._retired[0][1] if self._retired else None

    def _take_out(self, worker: str) -> None:
        known = self._class_of.pop(worker, None)
        if known is not None:
            place, speed = known
            self._workers.add(place, -1)
            self._speeds.add(place, -speed)
            self._squares -= speed * speed

    def speed(self, worker: str) -> float | None:
        """Iterations per second as last set; None if unknown."""
        known = self._class_of.get(worker)
        return known[1] if known else None

    def faster_than(self, speed: float) -> Faster:
        """The workers of a class before that of ``speed``; see :class:`Faster`."""
        place = speed_class(speed)
        return Faster(
            round(self._workers.before(place)),
            self._speeds.before(place),
            self._held.count_from(place),
            self._held.level_from_iterations(place),
        )

    @property
    def guessed_speed(self) -> float:
        """What a worker of unknown speed is taken for: somewhat faster than the average."""
        return 1.5 * self._speeds.total / len(self._class_of)

    @property
    def equivalent_workers(self) -> int:
        """As many equally fast workers have the same sums of speeds and of squared speeds."""
        total = self._speeds.total
        if not total <= math.sqrt(self._squares * len(self)) * (1 + 1e-9):
            # Rounding is all that is left of it after a much faster worker has gone.
            self._squares = math.fsum(speed * speed for _, speed in self._class_of.values())
        return math.ceil(total * total / self._squares - 1e-9)

    def count_faster(self, speed: float) -> int:
        """Workers of a class before that of ``speed``."""
        return round(self._workers.before(speed_class(speed)))

    def fastest(self, workers: int) -> float:
        """Iterations per second of the so many fastest workers together."""
        if workers >= len(self._class_of):
            return self._speeds.total
        place = self._workers.find(workers)
        before = self._workers.before(place)
        inside = self._workers.before(place + 1) - before
        share = (workers - before) / inside if inside else 0.0
        slower = self._speeds.before(place)
        return slower + share * (self._speeds.before(place + 1) - slower)

    @property
    def top_speed(self) -> float:
        """Iterations per second of the fastest class of workers. Undefined without workers."""
        place = self._workers.find(0)
        return self._speeds.before(place + 1) / self._workers.before(place + 1)

    # Slices under way

    @property
    def running(self) -> int:
        """Slices under way."""
        return len(self._held)

    @property
    def progress_iterations(self) -> float:
        """Iterations of the slices under way that count as done: half of each."""
        return self._held.progress_iterations

    def begin(
        self, slice_number: int, worker: str, from_iteration: int, iterations: int, end_s: float
    ) -> None:
        """A slice starts that should end at ``end_s``; half of it counts as done meanwhile."""
        known = self._class_of.get(worker)
        if known is None:
            self._newcomers.begin_probe(slice_number, worker)
        place = known[0] if known else _CLASSES
        self._held.begin(slice_number, place, from_iteration, iterations, end_s)

    def end(self, slice_number: int) -> None:
        """A slice has ended, one way or the other."""
        self._newcomers.end_probe(slice_number)
        self._held.end(slice_number)

    def next_end_of_slower_s(self, speed: float, below_iterations: float) -> float | None:
        """When a worker slower than ``speed`` should next end a slice of a trial that is then
        below ``below_iterations``, as far as that is seen among the slices that end next.
        """
        return self._held.next_end_of_slower_s(speed_class(speed), below_iterations)

    def next_ends_s(self, speed: float, count: int) -> list[float]:
        """When slices on workers faster than ``speed`` should end, the first ``count`` of them.

        Looks at the slices that end next on any worker, so it may give fewer.
        """
        return self._held.next_ends_s(speed_class(speed), count)

    # Workers of unknown speed

    def expect(self, worker: str, kind: str) -> None:
        """A worker of unknown speed is there."""
        self._newcomers.expect(worker, kind)

    def unknown_of(self, kind: str) -> list[str]:
        """Workers of that kind whose speed is unknown, in the order in which they came."""
        return self._newcomers.of_kind(kind)

    @property
    def unmeasured(self) -> int:
        """Workers of unknown speed that could be measured at once; see :class:`Newcomers`."""
        return self._newcomers.unmeasured

    @property
    def probes(self) -> int:
        """Slices under way on workers of unknown speed."""
        return self._newcomers.probes

    def is_probed(self, kind: str) -> bool:
        """Whether a worker of that kind is being measured for the first time."""
        return self._newcomers.is_probed(kind)
