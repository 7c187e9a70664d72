"""A node of the session's cluster that sees another folder than all others do under one path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

START_S = 90.0
HIDE = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'


class BlindNode:
    """``ray start`` in a mount namespace of its own, where an empty folder hides ``folder``."""

    def __init__(self, cluster: Any, name: str, folder: Path) -> None:
        ray_program = str(Path(sys.executable).with_name("ray"))
        node = [ray_program, "start", f"--address={cluster.address}", "--num-cpus=1", "--block"]
        node += ["--object-store-memory=80000000", f"--labels=hrfs-node={name}"]
        self._folder = folder
        self._process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", HIDE, str(folder), *node],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def open_eyes(self) -> None:
        """Take away what hides the folder."""
        inside = ["nsenter", "-t", str(self._process.pid), "-m"]
        subprocess.run([*inside, "umount", "-l", str(self._folder)], check=True)

    def end(self) -> None:
        """The node leaves the cluster."""
        self._process.terminate()
        self._process.wait()


@contextmanager
def blind_node(cluster: Any, name: str, folder: Path) -> Iterator[BlindNode]:
    """Starts one and waits for it; skips the test where no namespace can be had."""
    for needed in ("unshare", "nsenter", "mount"):
        if shutil.which(needed) is None:
            pytest.skip(f"there is no command {needed}")
    tried = ["unshare", "-m", "sh", "-c", HIDE, str(folder), "true"]
    if os.getuid() or subprocess.run(tried, capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    node = BlindNode(cluster, name, folder)
    try:
        if not is_there(name, START_S):  # on a busy machine Ray loses patience with itself
            node.end()
            node = BlindNode(cluster, name, folder)
            assert is_there(name, START_S), f"node {name} did not start"
        yield node
    finally:
        node.end()


def is_there(name: str, within_s: float) -> bool:
    """Waits until the cluster has a live node of that name."""
    import ray

    deadline_s = time.monotonic() + within_s
    while not any(n["Alive"] and n["Labels"].get("hrfs-node") == name for n in ray.nodes()):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True
