"""Starts the demo with time stamps in its processes, and reads the phases off them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Note = dict[str, Any]
STAMPS = Path(__file__).with_name("stamps")
WORKERS = 4
"""Emulated workers of the demo."""
WITHIN_S = 180.0
TRAINS = "iteration begins"
IS_MEANT, HAS_IMPORTED = "setup begins", "import hrfs.training.runner ends"
"""A process may import before it is known for which worker, or after."""
PHASES = (
    "command to import of Ray", "import of Ray", "ray.init", "import of Ray Tune, set-up",
    "to the first worker, its imports done", "its model, data, first batch",
    "command to first iteration", "command to last worker's first iteration",
    "computed by the driver until it fits", "computed by a worker until it trains",
)  # fmt: skip


def seconds_of(command: Sequence[str]) -> float:
    """Wall time of a command, which must succeed."""
    begin_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin_s


def stamped_demo(folder: Path, overrides: Sequence[str]) -> tuple[float, list[Note]]:
    """Start the demo in ``folder`` and interrupt it once all workers train.

    Returns:
        The time at which the command was given, and the notes of all its processes.

    Raises:
        RuntimeError: it ended, or :data:`WITHIN_S` passed, before that.
    """
    stamps = folder / "stamps.jsonl"
    paths = [str(STAMPS), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ, "HRFS_STAMPS": str(stamps), "PYTHONPATH": os.pathsep.join(filter(None, paths))
    }  # fmt: skip
    command = [
        sys.executable, "-m", "hrfs", "report.console=quiet",
        f"hydra.run.dir={folder / 'run'}", *overrides,
    ]  # fmt: skip
    with (folder / "said.txt").open("w") as said:
        began_s = time.time()
        driver = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        try:
            while len(trainers(read(stamps))) < WORKERS:
                if driver.poll() is not None or time.time() > began_s + WITHIN_S:
                    told = (folder / "said.txt").read_text()[-2000:]
                    raise RuntimeError(f"not all workers have trained: {told}")
                time.sleep(0.1)
            driver.send_signal(signal.SIGINT)
            driver.wait(60)
        finally:
            driver.kill()
            driver.wait()
    return began_s, read(stamps)


def read(stamps: Path) -> list[Note]:
    """The notes so far, by time; a line that is being written is left out."""
    if not stamps.exists():
        return []
    whole = stamps.read_text().rpartition("\n")[0]
    return sorted(map(json.loads, whole.splitlines()), key=lambda note: note["at_s"])


def trainers(notes: Sequence[Note]) -> list[Note]:
    """The first iteration of each worker, by time."""
    return [note for note in notes if note["what"] == TRAINS]


def phases_of(began_s: float, notes: Sequence[Note]) -> dict[str, float]:
    """Seconds by the names of :data:`PHASES`: six that add up to the next; its: of the worker that
    trains first.
    """
    driver = next(note["pid"] for note in notes if note["what"] == "ray.init begins")
    first, *_, last = trainers(notes)

    def at_s(what: str, pid: int) -> float:
        return float(_first(notes, what, pid)["at_s"])

    marks = [
        began_s,
        at_s("import ray begins", driver),
        at_s("ray.init begins", driver),
        at_s("ray.init ends", driver),
        at_s("fit begins", driver),
        max(at_s(what, first["pid"]) for what in (IS_MEANT, HAS_IMPORTED)),
        first["at_s"],
    ]
    seconds = [after - before for before, after in itertools.pairwise(marks)]
    computed = statistics.median(note["cpu_s"] for note in trainers(notes))
    seconds += [first["at_s"] - began_s, last["at_s"] - began_s]
    seconds += [_first(notes, "fit begins", driver)["cpu_s"], computed]
    return dict(zip(PHASES, seconds, strict=True))


def _first(notes: Sequence[Note], what: str, pid: int) -> Note:
    return next(note for note in notes if note["what"] == what and note["pid"] == pid)
