"""Keeping a worker's process to cores that no other worker's process is kept to.

Which cores a worker should have follows from the workers of its machine alone
(:func:`hrfs.experiment.cores.assign`), so that its processes need not talk to each other. But
workers of one size are interchangeable to Ray, a process may have been replaced, and another run
may be on the machine. So a process claims its cores: for each it binds a Unix socket of Linux'
abstract kind, named after the core, to which nobody can connect. Two processes cannot bind one
name, no file is left behind, and the system takes a claim back however the process ends.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from hrfs.experiment.cores import CoreShare, assign, ranges
from hrfs.experiment.cores_here import can_pin, core_count, cores_here, owns_its_cores

log = logging.getLogger("hrfs")

CLAIM = "hrfs-core-"
"""Name of the socket, before the number of the core."""
_PROCESSES = Path("/proc")


class Pinning:
    """The cores of this process, by default all that it may use."""

    def __init__(self) -> None:
        self._usable = cores_here() if can_pin() else []
        self._count, self._own = (core_count(), owns_its_cores()) if can_pin() else (0, False)
        self._claims: list[socket.socket] = []
        self._cpus: tuple[int, ...] = ()

    @property
    def told(self) -> str:
        """The cores that the process is kept to, as ``0-3,8``; empty if it is not."""
        return ranges(self._cpus)

    def take(self, share: CoreShare | None) -> None:
        """Keep to as many cores as the share says, if there are so many; None asks for nothing.

        A process that has them keeps them. Where the workers of the machine do not fit on its
        cores, or others hold these, the process stays free to use any.

        Raises:
            OSError: the user insists, and the system refuses.
        """
        if share is None or share.cpus == len(self._cpus):
            return
        try:
            self.release()
            for cpus in self._choices(share):
                if self._claim(cpus):
                    keep_to(cpus)
                    self._cpus = cpus
                    return
        except OSError as error:
            self._drop()
            if share.required:
                raise
            log.info("the cores of this process are left to the system: %s", error)

    def release(self) -> None:
        """Give the cores back."""
        if self._cpus:
            keep_to(core.cpu for core in self._usable)
        self._cpus = ()
        self._drop()

    def _choices(self, share: CoreShare) -> Iterator[tuple[int, ...]]:
        """The cores that are meant for workers of this size, then any that nobody holds."""
        if share.total > self._count or not (self._own or share.required):
            return
        planned = assign(self._usable, share.each) or []
        yield from (cpus for cpus in planned if len(cpus) == share.cpus)
        while True:  # each turn that fails has found a core fewer
            held = claimed()
            free = [core for core in self._usable if core.cpu not in held]
            found = assign(free, [share.cpus])
            if found is None:
                return
            yield found[0]

    def _claim(self, cpus: Iterable[int]) -> bool:
        for cpu in cpus:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._claims.append(claim)
            try:
                claim.bind(f"\0{CLAIM}{cpu}")
            except OSError as error:
                self._drop()
                if error.errno != errno.EADDRINUSE:
                    raise
                return False
        return True

    def _drop(self) -> None:
        while self._claims:
            self._claims.pop().close()


def claimed() -> set[int]:
    """Cores of this machine that some process keeps to."""
    sockets = (_PROCESSES / "net/unix").read_text()
    return {int(cpu) for cpu in re.findall(rf" @{CLAIM}(\d+)$", sockets, re.MULTILINE)}


def keep_to(cpus: Iterable[int]) -> None:
    """Let this process run on these CPUs only: all its threads, and those of its children.

    What it starts later inherits them.

    Raises:
        OSError: the system refuses.
    """
    mask = set(cpus)
    children = [child.pid for child in multiprocessing.active_children() if child.pid]
    for process in (os.getpid(), *children):
        seen: set[int] = set()
        while new := _threads(process) - seen:  # one may start another meanwhile
            seen |= new
            for thread in new:
                _keep_thread_to(thread, mask)


def _threads(process: int) -> set[int]:
    try:
        return {int(folder.name) for folder in (_PROCESSES / f"{process}/task").iterdir()}
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return set()


def _keep_thread_to(thread: int, mask: set[int]) -> None:
    try:
        os.sched_setaffinity(thread, mask)
    except ProcessLookupError:  # it has ended
        return
