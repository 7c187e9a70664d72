"""What the view shows of the past, kept up as the run goes on instead of computed each time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from hrfs.reporting.history import History

POINTS = 8
"""Scores of a trial that its trend shows."""
BARS = "▁▂▃▄▅▆▇█"


class Trends:
    """Last scores and last exploit of every trial of ``history``."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._records = 0
        self._exploits = 0
        self._scores: dict[int, deque[float]] = {}
        self._last_exploit: dict[int, tuple[int, int]] = {}
        self.first_start_s = math.inf
        """Start of the first slice that ended with a result."""

    def catch_up(self) -> None:
        """Take in what the history was told since the last call."""
        history = self._history
        for record in history.records[self._records :]:
            self.first_start_s = min(self.first_start_s, record.start_s)
            if record.score is not None and math.isfinite(record.score):
                self._scores.setdefault(record.trial, deque(maxlen=POINTS)).append(record.score)
        for exploit in history.exploits[self._exploits :]:
            self._last_exploit[exploit.trial] = exploit.iteration, exploit.donor
        self._records, self._exploits = len(history.records), len(history.exploits)

    def last_exploit(self, trial: int) -> str:
        """``at 150 of 7``: at which iteration it took over which trial's weights."""
        if trial not in self._last_exploit:
            return ""
        iteration, donor = self._last_exploit[trial]
        return f"at {iteration} of {donor}"

    def trend(self, trial: int) -> str:
        """The trial's last scores as bars, between its own lowest and highest of them."""
        return bars(list(self._scores.get(trial, ())))


def bars(scores: Sequence[float]) -> str:
    """One character per score, from :data:`BARS`; empty of fewer than two."""
    if len(scores) < 2:
        return ""
    low, high = min(scores), max(scores)
    if not high > low:
        return BARS[len(BARS) // 2] * len(scores)
    top = len(BARS) - 1
    return "".join(BARS[round(top * ((score - low) / (high - low)))] for score in scores)
