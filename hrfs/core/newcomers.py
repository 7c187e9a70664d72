"""Workers of unknown speed, and which of them are being measured."""

from __future__ import annotations

from collections import Counter


class Newcomers:
    """Workers of unknown speed by kind. Those of one kind are alike: one tells for all.

    Of kind ``""`` each must be measured by itself. Every change costs O(1).
    """

    def __init__(self) -> None:
        self._kind_of: dict[str, str] = {}
        self._of_kind: dict[str, dict[str, None]] = {}
        self._probed_kinds: Counter[str] = Counter()
        self._probes: dict[int, str] = {}

    def expect(self, worker: str, kind: str) -> None:
        """A worker of unknown speed is there; nothing happens if it was already."""
        if worker not in self._kind_of:
            self._kind_of[worker] = kind
            self._of_kind.setdefault(kind, {})[worker] = None

    def discard(self, worker: str) -> None:
        """The worker is gone or its speed is known; nothing happens if it is not here."""
        kind = self._kind_of.pop(worker, None)
        if kind is not None:
            del self._of_kind[kind][worker]

    def of_kind(self, kind: str) -> list[str]:
        """Workers of that kind, in the order in which they came."""
        return list(self._of_kind.get(kind, ()))

    def begin_probe(self, slice_number: int, worker: str) -> None:
        """A slice starts that measures a worker of unknown speed. Raises KeyError if known."""
        kind = self._kind_of[worker]
        self._probes[slice_number] = kind
        self._probed_kinds[kind] += 1

    def end_probe(self, slice_number: int) -> None:
        """The slice has ended; nothing happens if it measured nobody."""
        kind = self._probes.pop(slice_number, None)
        if kind is not None:
            self._probed_kinds[kind] -= 1

    @property
    def probes(self) -> int:
        """Slices under way that were the first of a worker of unknown speed."""
        return len(self._probes)

    def is_probed(self, kind: str) -> bool:
        """Whether a worker of that kind is being measured."""
        return self._probed_kinds[kind] > 0

    @property
    def unmeasured(self) -> int:
        """Workers that could be measured at once: nothing runs on them, and none of their kind
        is being measured. Costs O(kinds).
        """
        return sum(
            len(workers) - self._probed_kinds[kind]
            for kind, workers in self._of_kind.items()
            if not (kind and self._probed_kinds[kind])
        )
