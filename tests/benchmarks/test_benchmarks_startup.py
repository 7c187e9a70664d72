"""The benchmark of the start reads its phases off time stamps of all processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.startup import __main__ as command
from benchmarks.startup.measure import PHASES, STAMPS, Note, phases_of, read

DRIVER, FAST, SLOW = 1, 2, 3


def note(at_s: float, pid: int, what: str, cpu_s: float = 0.0) -> Note:
    return {"at_s": at_s, "pid": pid, "what": what, "cpu_s": cpu_s}


def test_phases_follow_the_worker_that_trains_first() -> None:
    notes = [
        note(101.0, DRIVER, "import ray begins"),
        note(101.5, DRIVER, "ray.init begins"),
        note(103.0, DRIVER, "ray.init ends"),
        note(104.0, DRIVER, "fit begins", 2.5),
        note(104.5, SLOW, "setup begins"),
        note(105.0, FAST, "setup begins"),
        note(108.0, FAST, "import hrfs.training.runner ends"),
        note(108.5, FAST, "iteration begins", 5.0),
        note(109.5, SLOW, "import hrfs.training.runner ends"),
        note(111.0, SLOW, "iteration begins", 7.0),
    ]
    seconds = phases_of(100.0, notes)
    assert list(seconds) == list(PHASES)
    assert list(seconds.values()) == pytest.approx([1, 0.5, 1.5, 1, 4, 0.5, 8.5, 11, 2.5, 6])
    assert sum(list(seconds.values())[:6]) == pytest.approx(seconds["command to first iteration"])


def test_a_process_is_stamped_from_outside(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "ray.py").write_text("def init():\n    return 7\n")
    stamps = tmp_path / "stamps.jsonl"
    path = os.pathsep.join([str(STAMPS), str(tmp_path)])
    code = "import torch, ray; from ray import init; assert init() == ray.init() == 7"
    subprocess.run(
        [sys.executable, "-c", code], check=True,
        env={**os.environ, "PYTHONPATH": path, "HRFS_STAMPS": str(stamps)},
    )  # fmt: skip
    whats = [entry["what"] for entry in read(stamps)]
    assert whats == [
        "process begins", "import torch begins", "import torch ends", "import ray begins",
        "import ray ends", "ray.init begins", "ray.init ends", "process ends",
    ]  # fmt: skip
    with stamps.open("a") as stream:
        stream.write(json.dumps({"at_s": 0.0})[:5])
    assert len(read(stamps)) == len(whats), "a torn line is left out"


def test_the_commands_are_timed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["startup", "--times", "1", "--commands"])
    monkeypatch.setattr(command, "COMMANDS", {"help": ["-m", "hrfs", "--help"]})
    command.main()
    shown = capsys.readouterr().out
    assert re.search(r"help +│ +\d+\.\d\d │ +\d+\.\d\d │", shown)
    assert "command to first iteration" not in shown
