"""The whole path, from the command line to the files."""

from __future__ import annotations

import csv
import json
import os
import secrets
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from hrfs.reporting import check_consistency, read_slices

ROOT = Path(__file__).resolve().parents[2]


SECRETS = ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "HF_TOKEN")
WORDS = ["experiment=smoke", "logger=[csv,tensorboard]", "hydra.run.dir=new/out"]


@dataclass(frozen=True)
class Smoke:
    """A finished run of ``experiment=smoke``, in an environment full of secrets."""

    folder: Path
    printed: str
    canaries: Mapping[str, str]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    folder = tmp_path_factory.mktemp("smoke")
    canaries = {name: secrets.token_hex(32) for name in SECRETS}
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", *WORDS],
        cwd=folder, umask=0, capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, **canaries, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return Smoke(folder / "new", done.stdout + done.stderr, canaries)


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


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
class TestSmoke:
    """What one run leaves."""

    def test_files_and_summary(self, smoke: Smoke) -> None:
        assert "emulated" in smoke.printed
        assert "winner" in smoke.printed
        out = smoke.folder / "out"
        for name in ("config.yaml", "overrides.yaml", "environment.json", "slices.csv",
                     "trials.csv", "summary.json", "hrfs.log", "winner.ckpt",
                     "winner.safetensors"):  # fmt: skip
            assert (out / name).is_file(), name
        assert yaml.safe_load((out / "overrides.yaml").read_text()) == WORDS[:2]
        config = yaml.safe_load((out / "config.yaml").read_text())
        assert config["model"]["num_classes"] == 10  # resolved, not an interpolation
        summary = json.loads((out / "summary.json").read_text())
        assert (summary["status"], summary["trials"]["finished"]) == ("finished", 4)
        assert summary["emulated"] is True
        rows = rows_of(out / "slices.csv")
        steps = sum(int(row["to_iteration"]) - int(row["from_iteration"]) for row in rows)
        assert steps == summary["iterations"] == 4 * 12
        assert len(rows) == summary["slices"]
        assert {row["worker"] for row in rows} == {"gpu-0", "cpu-0"}

    def test_environment(self, smoke: Smoke) -> None:
        told = json.loads((smoke.folder / "out/environment.json").read_text())["workers"]
        assert set(told) == {"gpu-0", "cpu-0"}
        assert told["gpu-0"]["trainer"]["precision"] == "32-true"
        assert told["gpu-0"]["threads"] == 1

    def test_loggers_have_a_run_per_trial(self, smoke: Smoke) -> None:
        out = smoke.folder / "out"
        slices = rows_of(out / "slices.csv")
        for trial in range(4):
            rows = rows_of(out / f"loggers/csv/trial_{trial:02d}/version_0/metrics.csv")
            wanted = [row["to_iteration"] for row in slices if row["trial"] == str(trial)]
            assert [row["step"] for row in rows] == wanted
            assert {"val/acc", "train/loss", "hp/lr"} <= set(rows[0])
        assert len(list(out.glob("loggers/tensorboard/*/version_0/events*"))) == 4

    def test_outputs_hold_no_secret_and_are_not_open_to_all(self, smoke: Smoke) -> None:
        paths = list(everything(smoke.folder))
        assert {"environment.json", "hrfs.log", "hydra.yaml", "tensorboard", "trials"} <= {
            path.name for path in paths
        }
        for path in paths:
            assert not may_be_written_by_others(path), path
        told = {str(path): path.read_bytes() for path in paths if path.is_file()}
        for where, text in {**told, "the screen": smoke.printed.encode()}.items():
            for name, canary in smoke.canaries.items():
                assert canary.encode() not in text, f"{name} is in {where}"


def test_a_file_that_everybody_may_write_to_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert not any(map(may_be_written_by_others, everything(tmp_path)))
    (tmp_path / "file").chmod(0o666)
    assert [path.name for path in everything(tmp_path) if may_be_written_by_others(path)] == [
        "file"
    ]


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
def test_two_seeds_in_one_run(tmp_path: Path) -> None:
    overrides = ["experiment=smoke", "seeds=[3,1]", "population.size=2"]
    shorter = ["population.stop_iterations=4", "population.interval_iterations=2"]
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", *overrides, *shorter, "hydra.run.dir=out"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 populations of 2, 4 iterations each" in done.stdout
    out = tmp_path / "out"
    winners = sorted(file.name for file in out.glob("winner*"))
    names = ("winner", "winner_seed1", "winner_seed3")
    assert winners == [f"{name}{suffix}" for name in names for suffix in (".ckpt", ".safetensors")]
    summary = json.loads((out / "summary.json").read_text())
    assert check_consistency(read_slices(out / "slices.csv"), summary) == []
    assert (summary["seed"], summary["seeds"]) == (None, [3, 1])
    for population in summary["populations"]:
        assert set(population["test"]) == {"test/acc", "test/loss"}
        assert population["iterations"] == 2 * 4
    best = max(summary["populations"], key=lambda population: population["winner"]["score"])
    assert summary["winner"]["seed"] == best["seed"]
    for suffix in (".ckpt", ".safetensors"):
        exported = (out / f"winner_seed{best['seed']}{suffix}").read_bytes()
        assert (out / f"winner{suffix}").read_bytes() == exported
