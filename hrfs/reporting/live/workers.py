"""Who does what: a row per worker, the busiest kinds of device first."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.text import Text

from hrfs.reporting.estimate import present_speeds
from hrfs.reporting.history import History
from hrfs.reporting.live.columns import Column, Grid, left_out
from hrfs.reporting.words import ending, number, share

NAME_WIDTH, NODE_WIDTH, BAR_WIDTH = 20, 12, 12
COLUMNS = (
    Column("worker", NAME_WIDTH),
    Column("kind", 12, leave_out=2),
    Column("node", NODE_WIDTH, leave_out=5),
    Column("state", 8),
    Column("trial", 5, right=True),
    Column("slice", BAR_WIDTH, leave_out=3),
    Column("done", 9, leave_out=4, right=True),
    Column("it/s", 7, leave_out=1, right=True),
    Column("share", 5, leave_out=1, right=True),
)
STYLES = {"trains": "green", "retired": "dim", "gone": "red", "waiting": "dim", "free": "yellow"}


def worker_state(history: History, name: str) -> str:
    """``trains``, ``waiting``, ``retired``, ``free`` or ``gone``."""
    if name not in history.present:
        return "gone"
    if name in history.running:
        return "trains"
    return history.worker_states.get(name, ("free", ""))[0]


def workers_view(history: History, now_s: float, width: int, most_rows: int) -> RenderableType:
    """The workers in at most ``most_rows`` lines, the headings included.

    Those that train come first, then by share of all iterations; the rest is counted by state.
    """
    names = sorted(history.workers, key=lambda name: _rank(history, name))
    room = max(1, most_rows - 1)
    shown = names if len(names) <= room else names[: max(1, room - 1)]
    speeds = present_speeds(history)
    grid = Grid(COLUMNS, width)
    for name in shown:
        state = worker_state(history, name)
        grid.add(_cells(history, name, now_s, state, speeds.get(name)), STYLES.get(state, ""))
    rest = names[len(shown) :]
    if not rest:
        return grid.render()
    counts = Counter(worker_state(history, name) for name in rest)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return Group(grid.render(), left_out(len(rest), f"workers: {told}"))


def _rank(history: History, name: str) -> tuple[bool, bool, int, str]:
    gone = name not in history.present
    return gone, name not in history.running, -history.worker_iterations.get(name, 0), name


def _cells(
    history: History, name: str, now_s: float, state: str, speed: float | None
) -> dict[str, RenderableType]:
    worker = history.workers[name]
    done = history.worker_iterations.get(name, 0)
    part = done / history.iterations if history.iterations else None
    return {
        "worker": ending(name, NAME_WIDTH),
        "kind": worker.kind,
        "node": ending(worker.node, NODE_WIDTH),
        "state": state,
        "it/s": number(speed, 3),
        "share": share(part),
        **_slice_cells(history, name, now_s, speed),
    }


def _slice_cells(
    history: History, name: str, now_s: float, speed: float | None
) -> dict[str, RenderableType]:
    start = history.running.get(name)
    if start is None:
        return {"trial": "", "slice": "", "done": ""}
    if speed is None:  # nobody knows yet how fast it is
        return {"trial": str(start.trial), "slice": Text("?"), "done": f"?/{start.iterations}"}
    done = min(float(start.iterations), max(0.0, now_s - start.start_s) * speed)
    return {
        "trial": str(start.trial),
        "slice": ProgressBar(total=start.iterations, completed=done, width=BAR_WIDTH),
        "done": f"{done:.0f}/{start.iterations}",
    }
