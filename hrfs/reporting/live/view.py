"""Three parts in one screen: the run, its workers, its trials."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from hrfs.reporting.history import History
from hrfs.reporting.live.run import run_view
from hrfs.reporting.live.trends import Trends
from hrfs.reporting.live.trials import trials_view
from hrfs.reporting.live.workers import workers_view

RUN_LINES = 3
LEAST_LINES = 14
"""Of a lower terminal the rest is cut off by rich."""


class LiveView:
    """Draws ``history``, which goes on; keeps what need not be computed anew."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._trends = Trends(history)

    def render(self, now_s: float, width: int, height: int) -> RenderableType:
        """The view of this moment in at most ``height`` lines of ``width`` characters.

        Workers get a third of the lines that the run leaves, trials what these do not need.
        """
        history = self._history
        self._trends.catch_up()
        room = max(LEAST_LINES, height) - RUN_LINES - 2  # a blank line before each table
        workers = min(len(history.workers) + 1, max(4, room // 3))
        trials = room - workers
        return Group(
            run_view(history, now_s, self._trends.first_start_s),
            Text(""),
            workers_view(history, now_s, width, workers),
            Text(""),
            trials_view(history, self._trends, now_s, width, trials),
        )
