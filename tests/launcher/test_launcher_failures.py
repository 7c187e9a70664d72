"""Jobs that end badly, in a user's program with a Ray of its own; and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from launcher_program import descendants, is_alive, reachable, start

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ENDS = ("raise", "os_exit", "sys_exit", "kill", "lock", "well")
WITHIN_S = 5.0
"""Ctrl-C ends a sweep within this time."""


def records(folder: Path) -> dict[int, dict[str, Any]]:
    found = [json.loads(file.read_text()) for file in folder.glob("sweep/*/.hydra/job_*.json")]
    return {record["job_num"]: record for record in found}


@pytest.mark.soak
def test_no_failure_costs_another_jobs_result_and_resuming_runs_the_rest(tmp_path: Path) -> None:
    program = start(tmp_path, f"+end={','.join(ENDS)}")
    output, _ = program.communicate(timeout=240)
    assert program.returncode == 1, output
    by_end = dict(zip(ENDS, (records(tmp_path)[n] for n in range(len(ENDS))), strict=True))
    assert [by_end[end]["status"] for end in ENDS] == ["FAILED"] * 5 + ["COMPLETED"], output
    assert by_end["raise"]["reason"] == "ValueError: boom"
    assert "ended suddenly" in by_end["os_exit"]["reason"]
    assert by_end["sys_exit"]["reason"] == "the task called sys.exit(5)"
    assert "ended suddenly" in by_end["kill"]["reason"]
    assert "can't be pickled" in by_end["lock"]["reason"]
    assert by_end["well"]["return_value"] == 1
    assert 'raise ValueError("boom")' in output  # its own traceback
    assert "#5 completed" in output
    assert "1 completed, jobs 0-4 failed" in output
    assert "raylet" not in output
    for number, end in enumerate(ENDS):
        assert (tmp_path / "sweep" / str(number) / "stdout.log").read_text() == f"job {end}\n"

    again = start(tmp_path, f"+end={','.join(ENDS)}", "hydra.launcher.resume=true")
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 1, output
    assert "skipped job 5: completed before" in output
    assert "#5 completed" not in output
    assert (tmp_path / "sweep" / "5" / "stdout.log").read_text() == "job well\n"
    assert (tmp_path / "sweep" / "0" / "stdout.log").read_text() == "job raise\n" * 2


def test_ctrl_c_ends_soon_keeps_what_has_finished_and_leaves_no_process(tmp_path: Path) -> None:
    program = start(tmp_path, "+end=well,sleep")
    assert program.stdout is not None
    told = []
    for line in program.stdout:
        told.append(line)
        if "#0 completed" in line:
            break
    sleeping = tmp_path / "sweep" / "1" / "stdout.log"
    deadline = time.monotonic() + 60
    while not (sleeping.is_file() and sleeping.read_text()):
        assert time.monotonic() < deadline, "".join(told)
        time.sleep(0.1)
    ours = descendants(program.pid)
    assert reachable(ours) == []
    pressed = time.monotonic()
    os.killpg(program.pid, signal.SIGINT)  # as a terminal does
    rest, _ = program.communicate(timeout=60)
    assert time.monotonic() - pressed < WITHIN_S * _slowness()
    assert program.returncode != 0
    assert "interrupted; 1 completed, job 1 did not end" in rest
    assert records(tmp_path)[0]["status"] == "COMPLETED"
    assert records(tmp_path)[1]["status"] == "STARTED"
    time.sleep(1)
    assert len(ours) >= 3
    assert not [pid for pid in ours if is_alive(pid)]


@pytest.mark.soak
def test_a_job_that_takes_too_much_memory_is_lost_with_its_reason(tmp_path: Path) -> None:
    all_is_too_much = {
        "RAY_memory_usage_threshold": "0.001",
        "RAY_memory_monitor_refresh_ms": "100",
    }
    program = start(tmp_path, "+end=sleep", **all_is_too_much)
    output, _ = program.communicate(timeout=120)
    assert program.returncode == 1, output
    assert records(tmp_path)[0]["status"] == "FAILED"
    assert "its node ran out of memory" in records(tmp_path)[0]["reason"], output


def _slowness() -> float:
    """How much more is asked of this machine than it has; a busy one is given more time."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
