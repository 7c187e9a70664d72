"""Ctrl-C, once and twice, and SIGTERM, at whatever a run is at; times count from the signal."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from driver_processes import Driver, driver

from hrfs.experiment.event_log import EVENTS_NAME

WITHIN_S = 15.0
"""The promise is ten seconds; the rest is for a machine that is busy with other tests."""
AT_ONCE_S = 4.0
SMALL = (
    "-m",
    "hrfs",
    "experiment=smoke",
    "population.stop_iterations=8",
    "report.console=plain",
    "cluster.emulated=[{name: only, kind: gpu, slowdown: 1.0, threads: 1}]",
)
ENDLESS = (
    *SMALL[:-1],
    "cluster.emulated=[{name: only, kind: gpu, slowdown: 100000.0, threads: 1}]",
)
CUT = "hydra.run.dir=cut"
pytestmark = [pytest.mark.ray, pytest.mark.torch, pytest.mark.slow, pytest.mark.timeout(600)]


def goes_on(run: Driver, folder: str = "cut") -> str:
    return f"python -m hrfs resume={run.cwd / folder} goes on"


def in_a_slice(run: Driver) -> None:
    """Wait until a worker trains, and for a moment more."""
    run.wait_for_process("RunnerTrainable.train")
    time.sleep(1.0)


def test_a_slice_of_hours_is_given_up_in_time(tmp_path: Path) -> None:
    with driver(tmp_path, *ENDLESS, CUT) as run:
        in_a_slice(run)
        took_s = run.seconds_to_end(run.signal(signal.SIGINT))
        assert took_s < WITHIN_S
        assert run.process.returncode == 130
        assert run.seconds_to_vanish(time.monotonic()) < WITHIN_S
        assert run.printed.count("hrfs: interrupted; ending within 10 s; again: at once") == 1
        assert f"hrfs: interrupted; {goes_on(run)}" in run.printed
        assert "Traceback" not in run.printed
    summary = json.loads((tmp_path / "cut" / "summary.json").read_text())
    assert (summary["status"], summary["slices"]) == ("interrupted", 0)
    assert '"starts"' in (tmp_path / "cut" / "trials" / EVENTS_NAME).read_text()


def test_twice_ends_at_once_and_the_run_goes_on_and_sigterm_ends_it(tmp_path: Path) -> None:
    with driver(tmp_path, *ENDLESS, CUT) as run:
        in_a_slice(run)
        run.signal(signal.SIGINT)
        run.wait_for(lambda: "interrupted; ending" in run.printed)
        time.sleep(0.5)
        again = run.signal(signal.SIGINT)
        assert run.seconds_to_end(again) < AT_ONCE_S
        assert run.process.returncode == 130
        assert run.seconds_to_vanish(again) < WITHIN_S
        assert f"hrfs: interrupted; ended at once; {goes_on(run)}" in run.printed
    with driver(tmp_path, "-m", "hrfs", "resume=cut") as run:
        in_a_slice(run)
        assert "0 slices are done, 1 are done again" in run.printed
        took_s = run.seconds_to_end(run.signal(signal.SIGTERM))
        assert took_s < WITHIN_S
        assert run.process.returncode == 143
        assert run.seconds_to_vanish(time.monotonic()) < WITHIN_S
        assert run.printed.count(f"hrfs: interrupted; {goes_on(run)}") == 1


@pytest.mark.parametrize("moment", ["config", pytest.param("cluster", marks=pytest.mark.soak)])
def test_before_training_it_ends_as_well_and_begins_anew(tmp_path: Path, moment: str) -> None:
    with driver(tmp_path, *SMALL, CUT) as run:
        if moment == "config":  # Ray and its kind are being imported
            run.wait_for((tmp_path / "cut" / "config.yaml").exists)
        else:
            run.wait_for_process("gcs_server")
        took_s = run.seconds_to_end(run.signal(signal.SIGINT))
        assert took_s < WITHIN_S
        assert run.process.returncode == 130
        assert run.seconds_to_vanish(time.monotonic()) < WITHIN_S
        assert goes_on(run) in run.printed
    if moment == "cluster":
        with driver(tmp_path, "-m", "hrfs", "resume=cut") as run:
            run.process.wait(timeout=300)
            assert run.process.returncode == 0, run.printed
            assert "no slice had begun; the run begins anew" in run.printed


@pytest.mark.soak
def test_the_test_of_the_winner_is_interrupted_and_made_up_for(tmp_path: Path) -> None:
    with driver(tmp_path, *SMALL, CUT) as run:
        run.wait_for_process("_evaluate")
        took_s = run.seconds_to_end(run.signal(signal.SIGINT))
        assert took_s < WITHIN_S
        assert run.process.returncode == 130
        assert f"hrfs: interrupted; {goes_on(run)}" in run.printed
    summary = json.loads((tmp_path / "cut" / "summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert summary["trials"]["finished"] == 4
    with driver(tmp_path, "-m", "hrfs", "resume=cut") as run:
        run.process.wait(timeout=300)
        assert run.process.returncode == 0, run.printed
    summary = json.loads((tmp_path / "cut" / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert (tmp_path / "cut" / "winner.ckpt").exists()


@pytest.mark.soak
def test_in_a_job_of_a_sweep_it_ends_the_sweep(tmp_path: Path) -> None:
    with driver(tmp_path, *ENDLESS, "-m", "seed=0,1,2", "hydra.sweep.dir=sweep") as run:
        in_a_slice(run)
        begun = len(list((tmp_path / "sweep").glob("*/config.yaml")))
        took_s = run.seconds_to_end(run.signal(signal.SIGINT))
        assert took_s < WITHIN_S
        assert run.process.returncode == 130
        assert run.seconds_to_vanish(time.monotonic()) < WITHIN_S
        assert "hrfs: interrupted; python -m hrfs.summary" in run.printed
    assert len(list((tmp_path / "sweep").glob("*/config.yaml"))) == begun < 3


@pytest.mark.soak
def test_rays_own_scheduler_ends_in_time_too(tmp_path: Path) -> None:
    with driver(tmp_path, *ENDLESS, "scheduler=ray_pbt", "scheduler.request=gpu", CUT) as run:
        run.wait_for_process("BaselineTrainable")
        time.sleep(1.0)
        took_s = run.seconds_to_end(run.signal(signal.SIGINT))
        assert took_s < WITHIN_S
        assert run.process.returncode == 130
        assert run.seconds_to_vanish(time.monotonic()) < WITHIN_S
        assert "hrfs: interrupted; run it anew" in run.printed
