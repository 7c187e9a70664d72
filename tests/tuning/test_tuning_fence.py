"""Processes of an earlier driver: waited for, and not let in."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hrfs.experiment.errors import ConfigError
from hrfs.tuning.fence import FENCE_FILE, Fence, Outdated, _held, enter, fence_off

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, sys
from hrfs.tuning.fence import enter
enter(json.loads(sys.argv[1]))
print("in", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def let_go() -> Iterator[None]:
    """What this process was let in with is not held for life."""
    yield
    while _held:
        _held.pop().close()


@contextmanager
def process_behind(fence: Fence) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is let in with ``fence`` and stays."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(asdict(fence))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_the_next_driver_waits_until_the_process_is_dead(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hrfs")
    first = fence_off(tmp_path)
    with process_behind(first) as process:
        with pytest.raises(ConfigError, match=r"is still used by processes of an earlier driver"):
            fence_off(tmp_path, wait_s=0.3)
        assert (tmp_path / FENCE_FILE).read_text() == first.driver, "it was not taken over"
        threading.Timer(0.5, os.kill, (process.pid, signal.SIGKILL)).start()
        since = time.monotonic()
        second = fence_off(tmp_path)
        assert time.monotonic() - since >= 0.4
    assert "waiting for processes of an earlier driver that use" in caplog.text
    assert second.driver != first.driver


def test_a_process_that_comes_late_is_not_let_in(tmp_path: Path) -> None:
    first = fence_off(tmp_path / "new")
    enter(asdict(first))
    with pytest.raises(ConfigError):
        fence_off(tmp_path / "new", wait_s=0.0)
    stale = Fence(str(tmp_path / FENCE_FILE), "somebody")
    fence_off(tmp_path)
    with pytest.raises(Outdated, match="names another driver"):
        enter(asdict(stale))
    fence_off(tmp_path, wait_s=0.0)  # who was not let in holds nothing


def test_a_share_without_locks_is_told_and_still_fenced_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    first, second = fence_off(tmp_path), fence_off(tmp_path)
    assert "cannot be locked (No locks available): make sure that no process" in caplog.text
    enter(asdict(second))
    with pytest.raises(Outdated):
        enter(asdict(first))


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / FENCE_FILE).mkdir()
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir=.*: cannot be written \(Is a dir"):
        fence_off(tmp_path)
