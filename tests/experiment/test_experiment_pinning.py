"""A process reads which cores it may use, claims some, and keeps to them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hrfs.experiment.cores import Core
from hrfs.experiment.cores_here import can_pin, cores_here, cpu_quota, parse_cpus

needs_two_cores = pytest.mark.skipif(
    not can_pin() or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores"
)


def write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def test_nodes_and_hyperthreads_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 1, 4, 0})
    write(tmp_path / "node/node0/cpulist", "0-3\n")
    write(tmp_path / "node/node1/cpulist", "4-7\n")
    for cpu in range(8):
        pair = cpu - cpu % 2
        file = tmp_path / f"cpu/cpu{cpu}/topology/thread_siblings_list"
        write(file, f"{pair}-{pair + 1}\n")
    assert cores_here(tmp_path) == [
        Core(0, "0-1", 0),
        Core(1, "0-1", 0),
        Core(4, "4-5", 1),
        Core(5, "4-5", 1),
    ]


def test_a_system_that_tells_nothing_has_one_node_of_single_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 7})
    assert cores_here(tmp_path) == [Core(3, "3", 0), Core(7, "7", 0)]


def test_lists_of_cpus_are_read() -> None:
    assert parse_cpus("0-3,8,10-11\n") == [0, 1, 2, 3, 8, 10, 11]
    assert parse_cpus("\n") == []


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4.0),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, None),
        ("0::/a\n", {}, None),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "200000\n",
             "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
             "memory/x/cpu.cfs_quota_us": "1\n"},
            2.0,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    ],
)  # fmt: skip
def test_quotas_of_both_versions_of_cgroups(
    tmp_path: Path, membership: str, files: dict[str, str], quota: float | None
) -> None:
    write(tmp_path / "membership", membership)
    for name, content in files.items():
        write(tmp_path / "mount" / name, content)
    assert cpu_quota(tmp_path / "membership", tmp_path / "mount") == quota


# In processes of their own: the test's must not be pinned

_BEGIN = f"""
import logging, multiprocessing, os, socket, sys, threading
from hrfs.experiment import pinning
from hrfs.experiment.cores import CoreShare
pinning.CLAIM = "hrfs-test-{os.getpid()}-"  # runs beside the tests claim cores as well
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
all_cpus = os.sched_getaffinity(0)
def now(thread=0): return ",".join(map(str, sorted(os.sched_getaffinity(thread))))
"""


def told_by(program: str, begin: str = _BEGIN) -> list[str]:
    """What a program prints, line by line."""
    done = subprocess.run(
        [sys.executable, "-c", begin + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines() + done.stderr.splitlines()


@needs_two_cores
def test_all_threads_and_children_keep_to_the_cores_and_get_them_back() -> None:
    told = told_by("""
stop = multiprocessing.get_context("fork").Event()
child = multiprocessing.get_context("fork").Process(target=stop.wait)
child.start()
thread = threading.Thread(target=threading.Event().wait, daemon=True)
thread.start()
mine = pinning.Pinning()
mine.take(CoreShare(1, ((1, 2),)))
later = []
new = threading.Thread(target=lambda: later.append(now()))
new.start(); new.join()
where = {now(), now(thread.native_id), now(child.pid), *later}
assert where == {mine.told} == set(map(str, pinning.claimed())), (where, mine.told)
mine.take(None)
mine.take(CoreShare(1, ((1, 2),)))
assert mine.told == now()
mine.take(CoreShare(2, ((2, 1),)))
assert len(os.sched_getaffinity(thread.native_id)) == len(pinning.claimed()) == 2
mine.release()
assert (mine.told, pinning.claimed()) == ("", set())
assert os.sched_getaffinity(thread.native_id) == all_cpus == os.sched_getaffinity(child.pid)
stop.set(); child.join()
print("done")
""")
    assert told == ["done"]


@needs_two_cores
def test_processes_that_know_nothing_of_each_other_keep_to_unlike_cores() -> None:
    """Also where another run holds what was meant for them; with no core left, one goes free."""
    told = told_by("""
one = CoreShare(1, ((1, 1),))
def run(pipe):
    mine = pinning.Pinning()
    mine.take(one)
    pipe.send(mine.told)
    pipe.recv()
    mine.take(one)
    pipe.send(mine.told)
    pipe.recv()
def start():
    here, there = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=run, args=[there])
    process.start()
    there.close()
    return process, here
started = [start() for _ in range(len(all_cpus) + 1)]
first = [pipe.recv() for _, pipe in started]
assert sorted(first) == sorted(["", *map(str, all_cpus)]), first
killed, free = first.index(str(min(all_cpus))), first.index("")
started[killed][0].kill(); started[killed][0].join()
started[free][1].send("try again")
assert started[free][1].recv() == first[killed]
for process, pipe in started:
    process.kill(); process.join()
print("done")
""")
    assert told == ["done"]


@needs_two_cores
@pytest.mark.parametrize(
    ("change", "share"),
    [
        ("", "CoreShare(1, ((1, 100_000),))"),
        ("pinning.owns_its_cores = lambda: False", "CoreShare(1, ((1, 1),))"),
        ("pinning.can_pin = lambda: False", "CoreShare(1, ((1, 1),))"),
    ],
    ids=["too many workers", "a quota", "no such system"],
)
def test_auto_leaves_alone_what_it_cannot_do_well(change: str, share: str) -> None:
    program = f"mine = pinning.Pinning(); mine.take({share}); print(repr(mine.told))"
    assert told_by(f"{change}\n{program}\nassert os.sched_getaffinity(0) == all_cpus") == ["''"]


@needs_two_cores
def test_a_system_that_refuses_is_told_of_or_obeyed() -> None:
    refuse = """
def refuse(thread, mask): raise PermissionError(1, "Operation not permitted")
os.sched_setaffinity = refuse
mine = pinning.Pinning()
mine.take(CoreShare(1, ((1, 1),), required={}))
print(repr(mine.told), pinning.claimed())
"""
    said = "the cores of this process are left to the system: [Errno 1] Operation not permitted"
    assert told_by(refuse.format(False)) == ["'' set()", said]
    with pytest.raises(AssertionError, match=r"PermissionError.*Operation not permitted"):
        told_by(refuse.format(True))
