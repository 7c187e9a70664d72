"""The driver is killed; a new one on a new cluster goes on from Tune's snapshot."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DRIVER = Path(__file__).parent / "restore_driver.py"


def start(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """A driver in a process group of its own, so that its Ray can be killed with it."""
    root = DRIVER.parents[2]
    path = os.pathsep.join(map(str, (root, root / "tests", DRIVER.parent)))
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(folder), *more],
        env=environment | {"PYTHONPATH": path},
        start_new_session=True,
    )


def test_tuner_restore_finishes_what_a_killed_driver_began(tmp_path: Path) -> None:
    driver = start(tmp_path)
    deadline = time.monotonic() + 90
    while len(list(tmp_path.glob("done_*"))) < 9:
        assert driver.poll() is None, "the driver ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    done = len(list(tmp_path.glob("done_*")))

    assert start(tmp_path, "restore").wait(timeout=150) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["finished"]
    assert report["errors"] == 0
    assert report["iterations"] == dict.fromkeys("0123", 60)
    # Nothing began anew: slice numbers went on, and hardly any slice was done twice.
    assert report["next_slice"] >= done
    assert report["next_slice"] <= 4 * 6 * 2 + 8
    for trial, history in report["histories"].items():
        assert history[-1][0] == int(trial)
        assert history[-1][1] + history[-1][2] == 60
        assert history[-1][3] == report["values"][trial]["lr"]
        assert {entry[0] // 2 for entry in history} == {int(trial) // 2}, "populations mixed"
        own = [entry for entry in history if entry[0] == int(trial)]
        for before, after in itertools.pairwise(own):
            assert after[1] >= before[1] + before[2], "an iteration was counted twice"
