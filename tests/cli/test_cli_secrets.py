"""A run tells nobody the secrets of its environment, and lets nobody but its owner write."""

from __future__ import annotations

import json
import os
import secrets
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "HF_TOKEN")


def everything(folder: Path) -> Iterator[Path]:
    yield folder
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


def may_be_written_by_others(path: Path) -> bool:
    mode = path.lstat().st_mode
    return not stat.S_ISLNK(mode) and bool(mode & stat.S_IWOTH)


@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
def test_outputs_hold_no_secret_and_are_not_open_to_all(tmp_path: Path) -> None:
    canaries = {name: secrets.token_hex(32) for name in SECRETS}
    shorter = ["population.size=2", "population.stop_iterations=4",
               "population.interval_iterations=2"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", "experiment=smoke", *shorter, "hydra.run.dir=new/out"],
        cwd=tmp_path, umask=0, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, **canaries, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "new" / "out"
    assert json.loads((out / "summary.json").read_text())["status"] == "finished"
    paths = list(everything(tmp_path / "new"))
    assert {"environment.json", "hrfs.log", "hydra.yaml", "tensorboard", "trials"} <= {
        path.name for path in paths
    }
    for path in paths:
        assert not may_be_written_by_others(path), path
    told = {str(path): path.read_bytes() for path in paths if path.is_file()}
    for where, text in {**told, "the screen": (done.stdout + done.stderr).encode()}.items():
        for name, canary in canaries.items():
            assert canary.encode() not in text, f"{name} is in {where}"


def test_a_file_that_everybody_may_write_to_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert not any(map(may_be_written_by_others, everything(tmp_path)))
    (tmp_path / "file").chmod(0o666)
    assert [path.name for path in everything(tmp_path) if may_be_written_by_others(path)] == [
        "file"
    ]
