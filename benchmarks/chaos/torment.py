"""The kills themselves."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.chaos.driver_process import Driver
from benchmarks.chaos.faults import Kill, Kind
from benchmarks.chaos.log import EventLog, Start
from benchmarks.chaos.nodes import Nodes
from benchmarks.chaos.processes import TITLE, TRAINING, send, title, workers_below
from benchmarks.chaos.settings import Notes, Settings

LOOK_S = 0.005
AWAY_S = (2.0, 6.0)
"""For how long a killed node stays away."""
STATE = "state.ckpt"

Found = TypeVar("Found")


class EndedError(RuntimeError):
    """The driver ended by itself while something was still to be killed."""


class StalledError(RuntimeError):
    """Nothing has happened for too long."""


class Torment:
    """Kills parts of one run. ``folder`` is the run's own."""

    def __init__(
        self,
        settings: Settings,
        nodes: Nodes,
        driver: Driver,
        folder: Path,
        notes: Notes,
        draw: np.random.Generator,
    ) -> None:
        self.log = EventLog(folder / "trials" / "hrfs-events.jsonl")
        self.stopped: list[int] = []
        """Processes that were made to hang."""
        self._settings = settings
        self._nodes = nodes
        self._driver = driver
        self._folder = folder
        self._notes = notes
        self._draw = draw
        self._begin_s = self._grew_s = time.monotonic()
        self._returns_s: dict[str, float] = {}
        self._acts: dict[Kind, Callable[[], Kill]] = {
            "training": self._training,
            "saving": lambda: self._in_the_middle("saving", "save"),
            "loading": lambda: self._in_the_middle("loading", "load"),
            "starting": lambda: self._in_the_middle("starting", "start"),
            "hung": self._hung,
            "node": self._node,
            "cluster": self._cluster,
            "byte": self._byte,
        }

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begin_s

    def do(self, kind: Kind) -> Kill:
        """One kill, as soon as there is something to kill.

        Raises:
            EndedError, StalledError: there was nothing, and no longer will be.
        """
        return self._acts[kind]()

    def look(self) -> None:
        """Read the log, and bring back the nodes whose time has come.

        Raises:
            StalledError: nothing was logged for too long.
        """
        if self.log.poll():
            self._grew_s = time.monotonic()
        if time.monotonic() - self._grew_s > self._settings.stall_s:
            raise StalledError(f"no event for {self._settings.stall_s:g} s")
        for name, due_s in list(self._returns_s.items()):
            if self.now_s >= due_s:
                del self._returns_s[name]
                self._nodes.bring_back(name)

    def until(self, find: Callable[[], Found | None]) -> Found:
        """What ``find`` finds, as soon as it does.

        Raises:
            EndedError, StalledError: it never did.
        """
        while True:
            self.look()
            found = find()
            if found is not None:
                return found
            if self._driver.code is not None:
                raise EndedError(f"the driver ended with code {self._driver.code}")
            time.sleep(LOOK_S)

    # What is killed

    def _training(self) -> Kill:
        worker, process = self.until(self._at_work)
        kill = self._told("training", [worker])
        send(signal.SIGKILL, [process])
        return kill

    def _hung(self) -> Kill:
        """How long the first slice of a process takes nobody knows: it is left alone."""
        worker, process = self.until(lambda: self._at_work(proven=True))
        kill = self._told("hung", [worker])
        send(signal.SIGSTOP, [process])
        self.stopped.append(process)
        return kill

    def _at_work(self, proven: bool = False) -> tuple[str, int] | None:
        """Some worker in a slice, and its process; of ``proven`` ones if asked for."""
        busy = {start.worker for start in self.log.under_way.values()}
        if proven:
            busy &= self.log.proven
        found = [
            (worker_of(name), process)
            for name, root in sorted(self._nodes.roots.items())
            if worker_of(name) in busy
            for process in workers_below(root, TRAINING)
            if process not in self.stopped
        ]
        return found[int(self._draw.integers(len(found)))] if found else None

    def _in_the_middle(self, kind: Kind, what: str) -> Kill:
        """Order the next process that does so to kill itself, and wait for that."""
        self._notes.order(what).touch()
        name = self.until(lambda: self._notes.take_obeyed(what))
        return self._told(kind, [worker_of(name)])

    def _node(self) -> Kill:
        worker, _ = self.until(self._at_work)
        name = worker.partition("/")[0]
        kill = self._told("node", [worker])
        self._nodes.kill(name)
        self._returns_s[name] = self.now_s + float(self._draw.uniform(*AWAY_S))
        return kill

    def _cluster(self) -> Kill:
        at_s = self.now_s
        self._driver.kill()
        self._returns_s.clear()
        self.log.poll()
        kill = self._told("cluster", sorted({s.worker for s in self.log.under_way.values()}))
        self._nodes.reboot()
        self.log.proven.clear()
        self._driver.start([f"resume={self._folder}", f"cluster.address={self._nodes.address}"])
        self._grew_s = time.monotonic()
        detail = f"{self.now_s - at_s:.0f} s until the driver was started again"
        return Kill("cluster", at_s, kill.line, kill.workers, kill.under_way, detail)

    def _byte(self) -> Kill:
        trial, file = self.until(self._at_rest)
        at = int(self._draw.integers(file.stat().st_size))
        with file.open("r+b") as stream:
            stream.seek(at)
            (old,) = stream.read(1)
            stream.seek(at)
            stream.write(bytes([old ^ 0xFF]))
        return self._told("byte", [], f"byte {at} of trial {trial}'s {file.parent.name}")

    def _at_rest(self) -> tuple[int, Path] | None:
        """A trial that waits, has done several slices and is not done, and its newest state."""
        busy = {start.trial for start in self.log.under_way.values()}
        root = self._folder / "trials"
        found = [
            (trial, root / self.log.newest[trial] / STATE)
            for trial, steps in sorted(self.log.story.items())
            if trial not in busy
            and len(steps) > 1
            and None not in steps[-2:]
            and steps[-1] is not None
            and steps[-1][1] < self._settings.stop_iterations
        ]
        found = [(trial, file) for trial, file in found if file.exists()]
        return found[int(self._draw.integers(len(found)))] if found else None

    def _told(self, kind: Kind, workers: list[str], detail: str = "") -> Kill:
        under_way: tuple[Start, ...] = tuple(
            start for start in self.log.under_way.values() if start.worker in workers
        )
        return Kill(kind, self.now_s, self.log.lines, tuple(workers), under_way, detail)

    def still_hung(self) -> list[int]:
        """Stopped processes that nobody has ended."""
        return [process for process in self.stopped if title(process).startswith(TITLE)]


def worker_of(node: str) -> str:
    """What hrfs calls the one worker of a node."""
    return f"{node}/cpu:0"
