"""A small Hydra program whose jobs end in every way that a job can, and processes to watch."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, signal, sys, threading, time
import hydra

@hydra.main(version_base="1.3", config_path=None, config_name=None)
def main(cfg):
    print("job", cfg.end, flush=True)
    if cfg.end == "raise":
        raise ValueError("boom")
    if cfg.end == "os_exit":
        os._exit(3)
    if cfg.end == "sys_exit":
        sys.exit(5)
    if cfg.end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.end == "lock":
        return threading.Lock()
    if cfg.end == "sleep":
        time.sleep(300)
    return 1

main()
"""


def start(folder: Path, *overrides: str, **variables: str) -> subprocess.Popen[str]:
    """Start the program's sweep in ``folder``, as a user does, with a Ray of its own.

    ``variables`` are added to its environment.
    """
    script = folder / "my_app.py"
    script.write_text(PROGRAM)
    command = [sys.executable, str(script), "-m", "hydra/launcher=ray_tune"]
    settings = ["hydra.launcher.init.num_cpus=2", f"hydra.sweep.dir={folder / 'sweep'}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    environment.pop("RAY_ADDRESS", None)
    return subprocess.Popen(
        [*command, *settings, *overrides],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def descendants(pid: int) -> set[int]:
    """All processes that come from ``pid``."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _fields(stat)
        if fields:
            parents[int(stat.parent.name)] = int(fields[1])
    found, before = {pid}, 0
    while len(found) != before:
        before = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found - {pid}


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    fields = _fields(Path(f"/proc/{pid}/stat"))
    return bool(fields) and fields[0] != "Z"


LISTENING = "0A"
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
"""127.0.0.1, the same within IPv6, and ::1, as /proc/net writes them."""


def reachable(pids: set[int]) -> list[str]:
    """Addresses beyond this machine's loopback on which one of the processes listens."""
    sockets = {link for pid in pids for link in _links(pid)}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and f"socket:[{inode}]" in sockets:
                found.append(local)
    assert found, "no process listens at all"
    return [address for address in found if address.partition(":")[0] not in LOOPBACK]


def _links(pid: int) -> list[str]:
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed meanwhile
            links.append(str(descriptor.readlink()))
    return links


def _fields(stat: Path) -> list[str]:
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []
