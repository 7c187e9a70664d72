"""Sums over the first so many of a row of numbers that change one at a time."""

from __future__ import annotations


class Fenwick:
    """A row of ``size`` numbers, all 0 at first (Fenwick 1994).

    Changing one and summing the first k cost O(log size). Counts stay exact; sums of other
    numbers carry the rounding of all changes so far, some 1e-16 of the largest each.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._tree = [0.0] * (size + 1)
        self._top = 1 << (size.bit_length() - 1)
        self.total = 0.0
        """Sum of the whole row."""

    def add(self, index: int, change: float) -> None:
        """Change the number at ``index`` (from 0)."""
        self.total += change
        tree, size = self._tree, self._size
        index += 1
        while index <= size:
            tree[index] += change
            index += index & -index

    def before(self, index: int) -> float:
        """Sum of the numbers at 0 to ``index`` - 1."""
        tree, total = self._tree, 0.0
        while index > 0:
            total += tree[index]
            index &= index - 1
        return total

    def find(self, rank: float) -> int:
        """The index at which the running sum first exceeds ``rank``; for numbers >= 0.

        ``size`` if the whole row sums to ``rank`` or less.
        """
        tree, index, step = self._tree, 0, self._top
        while step:
            after = index + step
            if after <= self._size and tree[after] <= rank:
                index, rank = after, rank - tree[after]
            step >>= 1
        return index
