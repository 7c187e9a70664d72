"""``resume=FOLDER``: what is refused, and a driver that is killed and goes on."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from hrfs.cli.arguments import to_resume
from hrfs.cli.folder import hold
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.event_log import EVENTS_NAME
from hrfs.reporting import check_consistency, read_slices

ROOT = Path(__file__).resolve().parents[2]
CommandLine = Callable[..., tuple[int, str, str]]
SMALL = (
    "experiment=smoke",
    "population.stop_iterations=16",
    "report.console=plain",
)
ONE_WORKER = "cluster.emulated=[{name: only, kind: gpu, slowdown: 2.0, threads: 1}]"


def start(*arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
    """A run in a process group of its own, which its Ray is part of."""
    return subprocess.Popen(
        [sys.executable, "-m", "hrfs", *arguments],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def ended(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Exit code and output of a run that is left in peace."""
    run = start(*arguments, cwd=cwd)
    try:
        printed, _ = run.communicate(timeout=200)
    finally:
        end_group(run)
    return run.returncode, printed.decode()


def end_group(run: subprocess.Popen[bytes]) -> None:
    """Nothing of the run is left, whatever the test found."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert run.stdout is not None
    run.stdout.close()


def after_slices(run: subprocess.Popen[bytes], folder: Path, wanted: int) -> None:
    """Wait until so many slices are in the event log, and a moment more."""
    log, deadline = folder / "trials" / EVENTS_NAME, time.monotonic() + 120
    while not log.exists() or log.read_bytes().count(b'"SliceDone"') < wanted:
        assert run.poll() is None, "the run ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.05)


def kill_after(wanted: int, *arguments: str, cwd: Path) -> None:
    """SIGKILL of driver and Ray while a slice is under way, and no sooner than so many slices."""
    run = start(*arguments, "hydra.run.dir=cut", cwd=cwd)
    try:
        after_slices(run, cwd / "cut", wanted)
    finally:
        end_group(run)


def trials_of(folder: Path) -> list[dict[str, str]]:
    """``trials.csv`` without its seconds."""
    with (folder / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if not k.startswith("seconds/")} for row in rows]


def weights_of(folder: Path) -> dict[str, Any]:
    import torch

    state = torch.load(folder / "winner.ckpt", map_location="cpu", weights_only=True)
    weights: dict[str, Any] = state["state_dict"]
    return weights


def invariants(folder: Path) -> None:
    """Iterations are counted once, and the files agree with each other and with the log."""
    records = read_slices(folder / "slices.csv")
    summary = json.loads((folder / "summary.json").read_text())
    assert check_consistency(records, summary) == []
    assert summary["status"] == "finished"
    assert (summary["iterations"], summary["trials"]["finished"]) == (4 * 16, 4)
    log = (folder / "trials" / EVENTS_NAME).read_text().splitlines()
    done = [json.loads(line) for line in log if '"SliceDone"' in line]
    assert [line["slice"] for line in done] == [record.slice for record in records]
    for trial in (folder / "trials").glob("trial_*"):
        assert len(list(trial.glob("checkpoint_*"))) <= 2


@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_worker_killed_twice_ends_as_the_undisturbed_run(tmp_path: Path) -> None:
    asked = *SMALL, ONE_WORKER, "trainer.lr_schedule=one_cycle"
    code, printed = ended(*asked, "hydra.run.dir=whole", cwd=tmp_path)
    assert code == 0, printed
    kill_after(5, *asked, cwd=tmp_path)
    # What a machine that went down may leave, and what somebody else may.
    log = tmp_path / "cut" / "trials" / EVENTS_NAME
    log.write_bytes(log.read_bytes() + b'{"event": "SliceDo')
    slices = tmp_path / "cut" / "slices.csv"
    slices.write_bytes(slices.read_bytes()[:-20])
    canary = tmp_path / "canary"
    pickle = b"cposix\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR."
    for name in ("tuner.pkl", "hrfs-state.pkl"):
        (tmp_path / "cut" / "trials" / name).write_bytes(pickle)
    (tmp_path / "cut").rename(tmp_path / "moved")

    run = start("resume=moved", cwd=tmp_path)
    try:
        after_slices(run, tmp_path / "moved", 10)
    finally:
        end_group(run)
    code, printed = ended("resume=moved", "report.console=quiet", cwd=tmp_path)
    assert code == 0, printed
    assert "goes on: " in printed
    invariants(tmp_path / "moved")
    assert trials_of(tmp_path / "moved") == trials_of(tmp_path / "whole")
    whole, moved = (weights_of(tmp_path / name) for name in ("whole", "moved"))
    assert whole.keys() == moved.keys()
    assert all((whole[name] == moved[name]).all() for name in whole)
    assert not canary.exists()

    code, printed = ended("resume=moved", cwd=tmp_path)
    assert (code, printed.count("\n")) == (0, 1)
    assert "holds a finished run; there is nothing to resume" in printed


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
def test_two_workers_killed_and_resumed_keep_the_invariants(tmp_path: Path) -> None:
    kill_after(7, *SMALL, cwd=tmp_path)
    done = len(read_slices(tmp_path / "cut" / "slices.csv"))
    code, printed = ended("resume=cut", cwd=tmp_path)
    assert code == 0, printed
    invariants(tmp_path / "cut")
    records = read_slices(tmp_path / "cut" / "slices.csv")
    assert len(records) > done >= 7
    warnings = json.loads((tmp_path / "cut" / "summary.json").read_text())["warnings"]
    assert any(warning.startswith("resumed after ") for warning in warnings)
    numbers = [record.slice for record in records]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < len(numbers), "slices under way are done again under their own numbers"

    # As if killed while the winner was tested: every slice is done, and no summary written.
    before = {
        name: (tmp_path / "cut" / name).read_bytes() for name in ("slices.csv", "winner.ckpt")
    }
    trials = trials_of(tmp_path / "cut")
    for name in ("summary.json", "winner.ckpt"):
        (tmp_path / "cut" / name).unlink()
    code, printed = ended("resume=cut", "report.console=quiet", cwd=tmp_path)
    assert (code, printed.count("\n")) == (0, 2), printed
    invariants(tmp_path / "cut")
    assert before == {name: (tmp_path / "cut" / name).read_bytes() for name in before}
    assert trials_of(tmp_path / "cut") == trials


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    run = start(*SMALL, ONE_WORKER, "hydra.run.dir=cut", cwd=tmp_path)
    try:
        after_slices(run, tmp_path / "cut", 3)
        under_way = subprocess.run(
            [sys.executable, "-m", "hrfs", "resume=cut"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        os.kill(run.pid, signal.SIGINT)
        printed, _ = run.communicate(timeout=60)
    finally:
        end_group(run)
    assert run.returncode == 130
    told = f"hrfs: interrupted; python -m hrfs resume={tmp_path / 'cut'} goes on"
    assert told in printed.decode()
    assert under_way.returncode == 2
    assert under_way.stderr.count("\n") == 1
    assert "a run is under way in it; wait for its end, or end it" in under_way.stderr
    code, printed_then = ended("resume=cut", cwd=tmp_path)
    assert code == 0, printed_then
    invariants(tmp_path / "cut")


# Refusals, in the test's own process


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a run leaves it that was killed before its first slice."""
    folder = tmp_path_factory.mktemp("composed") / "run"
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", *SMALL, "--cfg", "job"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_bytes(done.stdout)
    resolved = OmegaConf.to_container(OmegaConf.create(done.stdout.decode()), resolve=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved))
    return folder


@pytest.fixture
def folder(composed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(composed, tmp_path / "run"))


def refused(hrfs_main: CommandLine, *arguments: str) -> str:
    code, out, err = hrfs_main(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_a_folder_that_is_no_run_is_refused(hrfs_main: CommandLine, tmp_path: Path) -> None:
    told = refused(hrfs_main, f"resume={tmp_path}")
    assert "holds no run: there is no config.yaml in it; give the folder of a run" in told
    assert "holds no run" in refused(hrfs_main, "resume=")
    assert "holds no run" in refused(hrfs_main, "resume=nowhere")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "just words"])
def test_a_configuration_that_is_none_is_refused(
    hrfs_main: CommandLine, folder: Path, text: str
) -> None:
    (folder / "config.yaml").write_text(text)
    told = refused(hrfs_main, f"resume={folder}")
    assert "cannot be read" in told or "is not the configuration of a run" in told


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("population.stop_iterations=99", "population.stop_iterations=99: was 16 when the run"),
        ("seed=1", "seed=1: was 0 when the run began; a resumed run keeps its settings; it may"),
        ("model=resnet18", "model=resnet18: was {"),
        ("nonsense.key=1", "nonsense.key=1: was None when the run began"),
        ("--cfg", "argument=--cfg: cannot be given beside resume"),
        ("-m", "argument=-m: cannot be given beside resume"),
        ("report.console=[", "is no key=value"),
        ("report.console=loud", "report.console=loud: must be one of"),
    ],
)
def test_what_may_not_change_is_named(
    hrfs_main: CommandLine, folder: Path, typed: str, told: str
) -> None:
    assert told in refused(hrfs_main, f"resume={folder}", typed)


def test_a_changed_configuration_is_refused_by_the_key(
    hrfs_main: CommandLine, folder: Path
) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["population"]["mutations"]["lr"][1] = 0.5
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    told = refused(hrfs_main, f"resume={folder}")
    assert "population.mutations.lr=['loguniform', 0.5, 1" in told
    assert "when the run began; put it back in" in told


def test_without_hydras_copy_the_schema_still_refuses(hrfs_main: CommandLine, folder: Path) -> None:
    shutil.rmtree(folder / ".hydra")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["population"]["size"] = "many"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert "population.size=many: must be a whole number" in refused(hrfs_main, f"resume={folder}")


def test_a_folder_with_a_run_in_it_is_refused(hrfs_main: CommandLine, folder: Path) -> None:
    with (folder / "config.yaml").open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        told = refused(hrfs_main, f"resume={folder}")
    assert f"resume={folder}: a run is under way in it; wait for its end, or end it" in told


def test_rays_own_scheduler_cannot_be_resumed(hrfs_main: CommandLine, folder: Path) -> None:
    for name in ("config.yaml", ".hydra/config.yaml"):
        config = yaml.safe_load((folder / name).read_text())
        config["scheduler"]["policy"] = "ray_pbt"
        (folder / name).write_text(yaml.safe_dump(config))
    told = refused(hrfs_main, f"resume={folder}")
    assert "is a run of scheduler=ray_pbt, whose state only Ray has; run it anew" in told


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (b'{"format": 2, "hrfs": "9.1", "settings": {}}\n', "is in format 2, and this hrfs reads"),
        (b"hello\nhello\n", "line 1 cannot be read; take the file from a backup"),
        (b'{"format": 1, "settings": {"trials": 4}}\n', "interval_iterations=4: was None when"),
    ],
)
def test_a_log_that_cannot_be_gone_on_with_is_refused(
    hrfs_main: CommandLine, folder: Path, log: bytes, told: str
) -> None:
    (folder / "trials").mkdir()
    (folder / "trials" / EVENTS_NAME).write_bytes(log)
    assert told in refused(hrfs_main, f"resume={folder}")


def test_a_finished_run_says_so(hrfs_main: CommandLine, folder: Path) -> None:
    (folder / "summary.json").write_text('{"status": "finished"}')
    code, out, err = hrfs_main(f"resume={folder}")
    assert (code, err) == (0, "")
    assert out == f"hrfs: {folder} holds a finished run; there is nothing to resume\n"


def test_what_is_typed_beside_resume_is_kept_apart() -> None:
    assert to_resume(["seed=1"]) is None
    assert to_resume(["resume=a", "report.console=quiet"]) == (Path("a"), ["report.console=quiet"])


def test_a_share_without_locks_is_told_and_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with hold(folder):
        pass
    assert "cannot be locked (No locks available): make sure that no other run" in caplog.text


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"resume=.*: cannot be written \(Is a directory\)"):
        hold(tmp_path, "resume").__enter__()
