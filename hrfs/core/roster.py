"""Workers in order of speed, and what they hold: what a policy asks of the whole pool.

Speeds are sorted into classes of 1/16 octave (4.4 %), the fastest first, so that "all workers
faster than this one" is a sum over the classes before its own. Every change and every question
costs O(log classes), whatever the number of workers and trials.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from typing import NamedTuple

from hrfs.core.fenwick import Fenwick

PER_OCTAVE = 16
"""Classes of speed per factor of two."""
OCTAVES = 48
"""Speeds from 2**-24 to 2**24 iterations per second; what lies beyond counts as the last."""
_CLASSES = PER_OCTAVE * OCTAVES
_UNKNOWN = _CLASSES
"""Where a trial counts that is held by a worker of unknown speed: behind all others."""
_LOOKED_AT = 32
"""Slices that end next and are looked at to find those of faster workers."""


class Held(NamedTuple):
    """A trial that a worker holds: its class of speed, and what was expected of the slice."""

    speed_class: int
    level_iterations: float
    progress_iterations: float
    end_s: float
    probed_kind: str | None
    """Kind of the worker, if this slice is the first that measures it."""


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
        self._workers = Fenwick(_CLASSES + 1)
        self._speeds = Fenwick(_CLASSES + 1)
        self._held_trials = Fenwick(_CLASSES + 1)
        self._held_levels = Fenwick(_CLASSES + 1)
        self._held: dict[int, Held] = {}
        self._ends: list[tuple[float, int, int]] = []
        self._retired: list[tuple[float, str]] = []
        self._unknown: dict[str, str] = {}
        self._unknown_of: dict[str, dict[str, None]] = {}
        self._probed_kinds: Counter[str] = Counter()
        self._squares = 0.0
        self.progress_iterations = 0.0
        """Iterations of the slices under way that count as done: half of each."""
        self.probes = 0
        """Slices under way on workers of unknown speed."""

    def __len__(self) -> int:
        return len(self._class_of)

    @property
    def running(self) -> int:
        """Slices under way."""
        return len(self._held)

    @property
    def total_speed(self) -> float:
        """Iterations per second of all workers together."""
        return self._speeds.total

    def unknown_of(self, kind: str) -> list[str]:
        """Workers of that kind whose speed is unknown, in the order in which they came."""
        return list(self._unknown_of.get(kind, ()))

    @property
    def unmeasured(self) -> int:
        """Workers that could be measured at once: of unknown speed, nothing runs on them, and
        none of their kind is being measured. Costs O(kinds).
        """
        return sum(
            len(workers) - self._probed_kinds[kind]
            for kind, workers in self._unknown_of.items()
            if not (kind and self._probed_kinds[kind])
        )

    def expect(self, worker: str, kind: str) -> None:
        """A worker of unknown speed is there."""
        if worker not in self._unknown:
            self._unknown[worker] = kind
            self._unknown_of.setdefault(kind, {})[worker] = None

    def is_probed(self, kind: str) -> bool:
        """Whether a worker of that kind is being measured for the first time."""
        return self._probed_kinds[kind] > 0

    def set_speed(self, worker: str, speed: float) -> None:
        """A worker's speed in iterations per second; the latest counts."""
        place = speed_class(speed)
        known = self._class_of.get(worker)
        if known is not None and known[0] == place:  # mostly: what is learned changes little
            self._class_of[worker] = (place, speed)
            self._speeds.add(place, speed - known[1])
            self._squares += speed * speed - known[1] * known[1]
            return
        self._meet(worker)
        self._take_out(worker)
        self._class_of[worker] = (place, speed)
        self._workers.add(place, 1)
        self._speeds.add(place, speed)
        self._squares += speed * speed

    def drop(self, worker: str) -> None:
        """Forget the worker; nothing happens if it is not here."""
        self._meet(worker)
        self._retired = [entry for entry in self._retired if entry[1] != worker]
        self._take_out(worker)

    def retire(self, worker: str) -> None:
        """The worker gets nothing for now, and no longer counts among the others."""
        insort(self._retired, (-(self.speed(worker) or 0.0), worker))
        self._take_out(worker)

    @property
    def fastest_retired(self) -> str | None:
        """The retired worker of the highest speed, if any is retired."""
        return self._retired[0][1] if self._retired else None

    def _meet(self, worker: str) -> None:
        """The worker is no longer one of unknown speed, if it was."""
        kind = self._unknown.pop(worker, None)
        if kind is not None:
            del self._unknown_of[kind][worker]

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

    def begin(
        self, slice_number: int, worker: str, from_iteration: int, iterations: int, end_s: float
    ) -> None:
        """A slice starts that should end at ``end_s``; half of it counts as done meanwhile."""
        known = self._class_of.get(worker)
        place = known[0] if known else _UNKNOWN
        probed_kind = None if known else self._unknown[worker]
        if probed_kind is not None:
            self.probes += 1
            self._probed_kinds[probed_kind] += 1
        level = from_iteration + iterations / 2
        self._held[slice_number] = Held(place, level, iterations / 2, end_s, probed_kind)
        self.progress_iterations += iterations / 2
        self._held_trials.add(place, 1)
        self._held_levels.add(place, level)
        insort(self._ends, (end_s, slice_number, place))

    def end(self, slice_number: int) -> None:
        """A slice has ended, one way or the other."""
        held = self._held.pop(slice_number)
        if held.probed_kind is not None:
            self.probes -= 1
            self._probed_kinds[held.probed_kind] -= 1
        self.progress_iterations -= held.progress_iterations
        self._held_trials.add(held.speed_class, -1)
        self._held_levels.add(held.speed_class, -held.level_iterations)
        del self._ends[bisect_left(self._ends, (held.end_s, slice_number, held.speed_class))]

    def faster_than(self, speed: float) -> Faster:
        """The workers of a class before that of ``speed``; see :class:`Faster`."""
        place = speed_class(speed)
        return Faster(
            round(self._workers.before(place)),
            self._speeds.before(place),
            round(self._held_trials.total - self._held_trials.before(place)),
            self._held_levels.total - self._held_levels.before(place),
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

    def next_end_of_slower_s(self, speed: float, below_iterations: float) -> float | None:
        """When a worker slower than ``speed`` should next end a slice of a trial that is then
        below ``below_iterations``, as far as that is seen among the slices that end next.
        """
        place = speed_class(speed)
        for end_s, number, other in self._ends[:_LOOKED_AT]:
            if other > place and end_s < math.inf:
                held = self._held[number]
                if held.level_iterations + held.progress_iterations < below_iterations:
                    return end_s
        return None

    def next_ends_s(self, speed: float, count: int) -> list[float]:
        """When slices on workers faster than ``speed`` should end, the first ``count`` of them.

        Looks at the slices that end next on any worker, so it may give fewer.
        """
        place, ends = speed_class(speed), []
        for end_s, _, other in self._ends[:_LOOKED_AT]:
            if other < place:
                ends.append(end_s)
                if len(ends) == count:
                    break
        return ends
