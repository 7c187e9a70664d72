"""The run on the screen: workers at the start, the table of trials while it goes on."""

from __future__ import annotations

import atexit
import math
import time
from collections.abc import Callable, Sequence
from typing import Literal

from rich.console import Console as Screen
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from hrfs import __version__
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import FailureRecord, RollbackRecord, SliceRecord, WorkerInfo
from hrfs.reporting.history import History
from hrfs.reporting.live import LiveView
from hrfs.reporting.screen import make_screen
from hrfs.reporting.trial_table import progress
from hrfs.reporting.words import describe_workers, goal, headline, is_emulated

MODES = ("auto", "live", "plain", "quiet")
PLAIN_ROWS = 30
REFRESH_S = 0.5
"""Least real seconds between two refreshes in place."""
MOST_LOAD = 0.01
"""Share of one core that refreshes may take; where they are slow, they become rare."""

MOST_FAILURES_TOLD = 5


class Console(Observer):
    """Shows the run. ``history`` must have been told of an event first.

    ``auto`` is ``live`` on a terminal that can move its cursor, else ``plain``. ``live``
    shows the run, its workers and its trials in place, refreshed at most every
    :data:`REFRESH_S` and as rarely as :data:`MOST_LOAD` wants; ``plain`` prints the table every
    ``every_s`` seconds of run time; ``quiet`` prints nothing while the run goes on. If the
    output goes away (a closed pipe), the console falls silent and the run goes on.
    """

    def __init__(
        self,
        history: History,
        mode: str = "auto",
        every_s: float = 300.0,
        screen: Screen | None = None,
        real_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if mode not in MODES:
            raise ConfigError("report.console", mode, f"must be one of {', '.join(MODES)}")
        if not every_s > 0:
            raise ConfigError("report.every_s", every_s, "must be above 0 seconds")
        self._history = history
        self._screen = screen or make_screen()
        self.mode = self._resolve(mode)
        self._every_s = every_s
        self._real_clock = real_clock
        self._live: Live | None = None
        self._view = LiveView(history)
        self._due_s = every_s
        self._refresh_at_s = -math.inf
        self._failures_told = 0
        self._traceback_told = False

    def _resolve(self, mode: str) -> Literal["live", "plain", "quiet"]:
        can_move = self._screen.is_terminal and not self._screen.is_dumb_terminal
        if mode == "auto":
            return "live" if can_move else "plain"
        return "live" if mode == "live" else "quiet" if mode == "quiet" else "plain"

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        title = headline(plan)
        lines = [f"hrfs {__version__}: {title}" if title else f"hrfs {__version__}", goal(plan)]
        lines.append(f"{len(workers)} worker{'' if len(workers) == 1 else 's'}:")
        lines += [f"  {line}" for line in describe_workers(workers, is_emulated(plan))]
        if "request" in plan.labels:
            lines.append(f"every trial asks for {plan.labels['request']}")
        for number, line in enumerate(lines):
            self._print(Text(line, style="bold" if number == 0 else ""))
        self._print(Text(""))
        if self.mode == "live":
            self._live = Live(
                console=self._screen, auto_refresh=False, vertical_overflow="ellipsis"
            )
            atexit.register(self.close)  # an aborted run must not leave the cursor hidden
            self._guarded(self._live.start)

    def on_workers(self, time_s: float, joined: Sequence[WorkerInfo], left: Sequence[str]) -> None:
        for line in describe_workers(joined, is_emulated(self._history.plan)):
            self._print(Text(f"joined: {line}"))
        for name in left:
            self._print(Text(f"left: {name}", style="yellow"))

    def on_failure(self, record: FailureRecord) -> None:
        self._failures_told += 1
        if self._failures_told <= MOST_FAILURES_TOLD:
            trial = "no trial" if record.trial is None else f"trial {record.trial}"
            line = f"slice lost ({trial}, worker {record.worker or 'unknown'}): {record.reason}"
            self._print(Text(line, style="red"))
            self._tell_traceback(record)
        elif self._failures_told == MOST_FAILURES_TOLD + 1:
            self._print(Text("more slices lost; failures.log names each one", style="red"))

    def on_rollback(self, record: RollbackRecord) -> None:
        self._print(Text(record.told(), style="bold red" if record.anew else "red"))

    def _tell_traceback(self, record: FailureRecord) -> None:
        """The first one, whole; those of other faults are in ``failures.log``."""
        if record.traceback and not self._traceback_told:
            self._traceback_told = True
            self._print(Text(record.traceback, style="red"), soft_wrap=True)

    def on_slice(self, record: SliceRecord) -> None:
        self.on_tick(record.end_s)

    def on_tick(self, time_s: float) -> None:
        if self.mode == "live":
            self._refresh(time_s)
        elif self.mode == "plain" and self._history.started and time_s >= self._due_s:
            self._due_s = time_s + self._every_s
            self._print(progress(self._history, time_s, PLAIN_ROWS))
            self._print(Text(""))

    def on_end(self, time_s: float) -> None:
        if self._live is not None:
            self._refresh_at_s = -math.inf
            self._refresh(time_s)
            self.close()
        elif self.mode == "plain" and self._history.started:
            self._print(progress(self._history, time_s, PLAIN_ROWS))

    def close(self) -> None:
        """Give the terminal back; may be called twice."""
        if self._live is not None:
            live, self._live = self._live, None
            self._guarded(live.stop)
            atexit.unregister(self.close)

    def _refresh(self, time_s: float) -> None:
        begin_s = self._real_clock()
        if self._live is None or begin_s < self._refresh_at_s:
            return
        live, screen = self._live, self._screen
        view = self._view.render(time_s, screen.width, screen.height - 1)
        self._guarded(lambda: live.update(view, refresh=True))
        took_s = self._real_clock() - begin_s
        self._refresh_at_s = begin_s + max(REFRESH_S, took_s / MOST_LOAD)

    def _print(self, what: RenderableType, soft_wrap: bool = False) -> None:
        if self.mode != "quiet":
            self._guarded(lambda: self._screen.print(what, soft_wrap=soft_wrap))

    def _guarded(self, show: Callable[[], object]) -> None:
        try:
            show()
        except OSError as error:
            self.mode, self._live = "quiet", None
            self._history.warn(f"the console cannot be written: {error}; the run goes on silently")
