"""One population twice: undisturbed, and with something killed every few seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.chaos.driver_process import Driver
from benchmarks.chaos.faults import Kill, Kind, Planned, plan
from benchmarks.chaos.log import EventLog
from benchmarks.chaos.nodes import Nodes
from benchmarks.chaos.settings import Notes, Settings
from benchmarks.chaos.torment import EndedError, StalledError, Torment

LAST_KILL_BY = 0.9
"""Share of all iterations that may be done before the last kill."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run left behind. ``wall_s`` is from the driver's start to its last end."""

    folder: Path
    log: EventLog
    code: int | None
    """The driver's exit code; None if it had to be ended."""
    wall_s: float
    steps: int
    """Optimizer steps that were done, the lost ones included."""
    kills: list[Kill] = field(default_factory=list)
    trouble: str = ""
    """Why not all kills happened, or why the run was given up."""
    still_hung: int = 0
    """Processes that were stopped and that nobody has ended."""


def run(
    settings: Settings, folder: Path, planned: list[Planned], tell: Callable[[str], None]
) -> Run:
    """Train once on nodes of its own, with these kills (none: undisturbed)."""
    shared = folder / "notes"
    shared.mkdir(parents=True)
    notes, out_dir = Notes(shared), folder / "run"
    nodes = Nodes(settings.nodes)
    driver = Driver(folder / "printed.txt")
    kills: list[Kill] = []
    trouble = ""
    try:
        draw = np.random.default_rng([settings.seed, 1])
        torment = Torment(settings, nodes, driver, out_dir, notes, draw)
        driver.start(settings.overrides(out_dir, shared, nodes.address))
        try:
            for index, one in enumerate(planned):
                _wait_for_turn(torment, settings, index, one)
                kills.append(torment.do(one.kind))
                tell(_line(index, len(planned), kills[-1]))
            torment.until(lambda: driver.code)
        except (EndedError, StalledError) as error:
            trouble = str(error)
        wall_s = torment.now_s
        torment.log.poll()
        hung = len(torment.still_hung())
    finally:
        code = driver.code
        driver.kill()
        nodes.kill_all()
    return Run(out_dir, torment.log, code, wall_s, notes.steps(), kills, trouble, hung)


def plan_of(settings: Settings, kinds: Sequence[Kind]) -> list[Planned]:
    """The kills that its seed draws."""
    draw = np.random.default_rng([settings.seed, 0])
    return plan(settings.kills, settings.every_s, draw, kinds)


def _wait_for_turn(torment: Torment, settings: Settings, index: int, planned: Planned) -> None:
    """Until the gap has passed, or so much is done that the run would end before its last kill."""
    whole = settings.trials * settings.stop_iterations
    due_s = torment.now_s + planned.gap_s
    share = (index + 1) / (settings.kills + 1) * LAST_KILL_BY

    def turn() -> bool | None:
        done = torment.log.iterations
        soon = done > 0 and torment.now_s >= due_s
        return True if soon or done >= share * whole else None

    torment.until(turn)


def _line(index: int, kills: int, kill: Kill) -> str:
    where = ", ".join(kill.workers) or kill.detail
    slices = ", ".join(str(start.slice) for start in kill.under_way)
    under_way = f"; slice {slices} under way" if slices else ""
    return f"{kill.at_s:6.1f} s  {index + 1}/{kills}  {kill.kind}: {where}{under_way}"
