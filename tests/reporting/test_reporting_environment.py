"""environment.json, and what importing the reports does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

import hrfs
from hrfs.experiment.hardware import cpu_model
from hrfs.reporting import write_environment
from hrfs.reporting.environment import git_state, gpus


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_file_names_versions_host_and_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HRFS_TEST_SECRET", "do-not-tell-anyone")
    found = write_environment(tmp_path / "environment.json")
    text = (tmp_path / "environment.json").read_text()
    assert json.loads(text) == found
    assert "do-not-tell-anyone" not in text
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["versions"]["hrfs"]
    assert found["versions"]["numpy"]
    assert set(found["versions"]) >= {"ray", "torch", "torchvision", "pytorch_lightning"}
    assert found["cpu"]["count"] >= 1
    age = datetime.now(timezone.utc) - datetime.fromisoformat(found["started"])
    assert 0 <= age.total_seconds() < 60


def test_git_state_of_a_checkout(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert git_state(package) is None
    git(tmp_path, "init")
    assert git_state(package) is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    state = git_state(package)
    assert state is not None
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (package / "__init__.py").write_text("changed = 1")
    changed = git_state(package)
    assert changed is not None
    assert changed["dirty"] is True
    foreign = tmp_path / "venv"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("")
    assert git_state(foreign) is None


def test_the_cpu_has_its_model_name(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast One 9000\nflags\t: x\n")
    assert cpu_model(info) == "Fast One 9000"


def test_gpus_are_those_of_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA A100, 81920 MiB, 550.1'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gpus() == [
        {"name": "NVIDIA A100", "memory.total": "81920 MiB", "driver_version": "550.1"}
    ]
    program.write_text("#!/bin/sh\nexit 9\n")
    assert gpus() == []
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert gpus() == []


def test_the_reports_import_nothing_heavy() -> None:
    code = "import sys, hrfs.reporting; print(*sys.modules)"
    root = Path(hrfs.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    heavy = {"torch", "ray", "hydra", "omegaconf", "tensorflow", "pytorch_lightning", "pandas"}
    assert heavy & set(done.stdout.split()) == set()
    layers = {"hrfs.tuning", "hrfs.training", "hrfs.simulator", "hrfs.cli"}
    assert layers & set(done.stdout.split()) == set()
