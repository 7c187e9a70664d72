"""Nodes emulated on this machine: a Ray cluster of several raylets that can be killed.

The cluster's bookkeeping lives in a process of its own: whoever is connected to a Ray that is
killed is ended by it. That process dies with its cluster.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import secrets
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.chaos.processes import descendants, kill_tree, send
from benchmarks.chaos.settings import NODE, SLOWNESS

STORE_BYTES = 80 * 2**20
ANSWER_WITHIN_S = 120.0


def want_token() -> None:
    """Let whatever is started from here on use one token of its own with Ray."""
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


class Nodes:
    """A head without workers, and the named nodes with one CPU each."""

    def __init__(self, slowness: Mapping[str, float]) -> None:
        self._slowness = dict(slowness)
        self.roots: dict[str, int] = {}
        """Process of each node that is there now; all its others are below it."""
        self.address = ""
        atexit.register(self.kill_all)  # else the end would wait for the keeper's for ever
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._keeper = context.Process(target=_keep, args=(theirs,))
        self._keeper.start()
        theirs.close()
        try:
            self.address = self._ask("head", "", 0.0)
            for name in self._slowness:
                self.bring_back(name)
        except BaseException:
            self.kill_all()
            raise

    def _ask(self, *request: Any) -> Any:
        self._pipe.send(request)
        if not self._pipe.poll(ANSWER_WITHIN_S):
            raise RuntimeError(f"no answer to {request} within {ANSWER_WITHIN_S:g} s")
        return self._pipe.recv()

    def bring_back(self, name: str) -> None:
        """Start the node, under the name that it had before."""
        self.roots[name] = self._ask("add", name, self._slowness[name])

    def kill(self, name: str) -> None:
        """SIGKILL of a node: its raylet, its workers and all."""
        kill_tree(self.roots.pop(name))
        self._ask("forget", name, 0.0)

    def reboot(self) -> None:
        """SIGKILL of everything, and a new cluster with new node ids at another address."""
        self.kill_all()
        self._begin()

    def kill_all(self) -> None:
        """SIGKILL of everything, workers that were stopped included."""
        self.roots.clear()
        if self._keeper.is_alive() and self._keeper.pid is not None:
            kill_tree(self._keeper.pid)
        self._keeper.join()
        self._pipe.close()


def _keep(pipe: Connection) -> None:
    """The cluster's own process: does as it is told until it is killed."""
    os.setsid()  # Ctrl-C and the like are for whoever started it
    logging.disable(logging.INFO)  # Ray tells of each new address
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    nodes: dict[str, Any] = {}
    while True:
        try:
            what, name, slowness = pipe.recv()
        except EOFError:  # the other end is gone: so is the use of this one
            send(signal.SIGKILL, [*descendants(os.getpid()), os.getpid()])
        if what == "head":
            cluster.add_node(
                num_cpus=0,
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
            )
            pipe.send(cluster.address)
        elif what == "add":
            nodes[name] = cluster.add_node(
                num_cpus=1,
                labels={"hrfs-node": name},
                object_store_memory=STORE_BYTES,
                env_vars={NODE: name, SLOWNESS: str(slowness)},
            )
            pipe.send(_raylet(nodes[name]))
        else:
            node = nodes.pop(name)
            rest = [p.process.pid for kind in node.all_processes.values() for p in kind]
            send(signal.SIGKILL, rest)
            cluster.remove_node(node, allow_graceful=False)
            pipe.send(None)


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)
