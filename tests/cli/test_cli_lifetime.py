"""What is left after a driver's end, whatever it was; and who finds what is still there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from driver_processes import ROOT, driver, title

from hrfs.reporting import check_consistency, read_slices
from hrfs.tuning.fence import FENCE_FILE
from hrfs.tuning.guard import PROCESSES
from hrfs.tuning.lifeline import MARK

WITHIN_S = 15.0
"""The promise is ten seconds; the rest is for a machine that is busy with other tests."""
SMALL = (
    "-m",
    "hrfs",
    "experiment=smoke",
    "population.stop_iterations=16",
    "report.console=plain",
    "hydra.run.dir=cut",
)
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

STUBBORN = """
import os, subprocess, sys, time
import ray
from hrfs.experiment.cluster import ClusterSettings
from hrfs.tuning.session import cluster

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"

@ray.remote(num_cpus=0)
class Worker:
    def start(self):
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        subprocess.Popen([sys.executable, "-c", DEAF])
    def work(self):
        time.sleep(1000)

if __name__ == "__main__":
    with cluster(ClusterSettings(mode="local")):
        worker = Worker.remote()
        ray.get(worker.start.remote())
        worker.work.remote()
        print("ready", flush=True)
        sys.stdin.readline()
"""
"""A worker that is busy, with a child that ignores SIGTERM and one in a session of its own."""


ENDS = ("SIGKILL", "SIGTERM")
LONG = [pytest.param(end, marks=pytest.mark.soak) for end in ("exception", "_exit")]


@pytest.mark.parametrize("end", [*ENDS, *LONG])
def test_nothing_outlives_the_driver(tmp_path: Path, end: str) -> None:
    last = {"exception": "1 / 0", "_exit": "os._exit(7)"}.get(end, "time.sleep(1000)")
    wait = f"while not os.path.exists('go'): time.sleep(0.05)\n        {last}"
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN.replace("sys.stdin.readline()", wait))
    with driver(tmp_path, str(program)) as run:
        run.wait_for(lambda: "ready" in run.printed)
        run.wait_for_process("Worker.work")
        called = " ".join(run.descendants().values())
        assert "sleep 1000" in called
        assert "SIG_IGN" in called
        run.wait_for_process("RuntimeEnvAgent")
        unmarked = [words for number, words in run.descendants().items() if not has_mark(number)]
        assert len(unmarked) == 2, "the driver and its guard"
        if end.startswith("SIG"):
            since = run.signal(signal.Signals[end])
        else:
            (tmp_path / "go").touch()
            since = time.monotonic()
        run.process.wait(timeout=60)
        assert run.process.returncode != 0
        assert run.seconds_to_vanish(since) < WITHIN_S


def has_mark(process: int) -> bool:
    """Whether the guard will find it; what has ended meanwhile need not be found."""
    try:
        return f"{MARK}=".encode() in (PROCESSES / str(process) / "environ").read_bytes()
    except FileNotFoundError:
        return True


@pytest.mark.soak
@pytest.mark.torch
def test_a_driver_killed_alone_leaves_nothing_and_its_run_goes_on_at_once(tmp_path: Path) -> None:
    with driver(tmp_path, *SMALL) as run:
        run.wait_for_slices(3)
        since = run.signal(signal.SIGKILL)
        with driver(tmp_path, "-m", "hrfs", "resume=cut", "report.console=quiet") as next_run:
            assert run.seconds_to_vanish(since) < WITHIN_S
            next_run.process.wait(timeout=300)
            assert next_run.process.returncode == 0, next_run.printed
    whole(tmp_path / "cut")


def whole(folder: Path) -> None:
    """The run has ended and its files agree."""
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["iterations"]) == ("finished", 4 * 16)
    assert check_consistency(read_slices(folder / "slices.csv"), summary) == []


# A cluster that was joined

LAB = """
import sys
from ray.cluster_utils import Cluster
head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 2**20}
lab = Cluster(initialize_head=True, head_node_args=head)
print(lab.address, flush=True)
sys.stdin.readline()
lab.shutdown()
"""
ASK = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); print(ray.get(ray.put(1)))"


@contextmanager
def lab() -> Iterator[str]:
    """A cluster with one worker that does not belong to the run; gives its address."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", LAB],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.stdin.close()


def users_of(file: Path) -> dict[int, str]:
    """Processes that have ``file`` open."""
    found = {}
    for entry in PROCESSES.glob("[0-9]*/fd/*"):
        try:
            if entry.readlink() == file:
                pid = int(entry.parts[2])
                found[pid] = title(pid)
        except OSError:
            continue  # ended meanwhile
    return found


@pytest.mark.soak
@pytest.mark.torch
def test_in_a_joined_cluster_our_processes_end_and_the_cluster_lives_on(tmp_path: Path) -> None:
    fence = tmp_path / "cut" / FENCE_FILE
    with lab() as address:
        joined = ("cluster=address", "cluster.emulated=[]", f"cluster.address={address}")
        with driver(tmp_path, *SMALL, *joined) as run:
            run.wait_for_slices(2)
            workers = users_of(fence)
            assert workers
            since = run.signal(signal.SIGKILL)
            with driver(tmp_path, "-m", "hrfs", "resume=cut", "report.console=quiet") as next_run:
                while any(title(pid) for pid in workers):
                    assert time.monotonic() - since < WITHIN_S, workers
                    time.sleep(0.05)
                next_run.process.wait(timeout=300)
                assert next_run.process.returncode == 0, next_run.printed
        said = subprocess.run(
            [sys.executable, "-c", ASK, address], capture_output=True, timeout=120, check=True
        )
        assert said.stdout.strip() == b"1"
    whole(tmp_path / "cut")
