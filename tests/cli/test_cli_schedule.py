"""``scheduler=replay schedule=FILE``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from hrfs.cli import schema
from hrfs.cli.build import build_plan, build_scheduler, to_plain
from hrfs.cli.paths import config_dir
from hrfs.cli.validate import validate
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.schedule import Schedule, Stretch, write_schedule
from hrfs.reporting import read_slices

Config = dict[str, Any]


@pytest.fixture
def config() -> Config:
    """The demo's, resolved."""
    schema.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return to_plain(compose("config", ["experiment=demo"]))


@pytest.fixture
def file(tmp_path: Path, config: Config) -> Path:
    """A schedule for what the configuration varies."""
    names = list(config["population"]["search_space"])
    stretches = tuple(
        Stretch(begin, end, 0, dict.fromkeys(names, value))
        for begin, end, value in ((0, 30, 0.1), (30, 45, 0.05))
    )
    path = tmp_path / "winner_schedule.json"
    write_schedule(path, Schedule(stretches))
    return path


def test_one_trial_is_trained_by_it(config: Config, file: Path) -> None:
    config["scheduler"]["policy"], config["schedule"] = "replay", str(file)
    validate(config)
    plan = build_plan(config, {})
    assert (plan.trials, plan.stop_iterations) == (1, 45)
    assert plan.interval_iterations <= 45
    assert plan.timetable is not None
    assert plan.timetable.room(0) == 30
    assert set(plan.initial_hyperparameters(0).values()) == {0.1}
    assert build_scheduler(config).policy == "hrfs"
    assert plan.labels["scheduler"] == "replay"


def test_one_without_the_other(config: Config, file: Path) -> None:
    config["schedule"] = str(file)
    with pytest.raises(ConfigError, match=r"^schedule=.*json: is for scheduler=replay alone"):
        validate(config)
    config["scheduler"]["policy"], config["schedule"] = "replay", None
    with pytest.raises(ConfigError, match=r"^schedule=null: is needed by scheduler=replay;"):
        validate(config)


def test_other_hyperparameters(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    write_schedule(path, Schedule((Stretch(0, 10, 0, {"lr": 0.1, "warmth": 2}),)))
    config["scheduler"]["policy"], config["schedule"] = "replay", str(path)
    with pytest.raises(ConfigError, match=r"other\.json: must give .*lr.*, and no other value; "):
        validate(config)


def test_a_file_that_is_not_there(config: Config) -> None:
    config["scheduler"]["policy"], config["schedule"] = "replay", "gone.json"
    with pytest.raises(ConfigError, match=r"^schedule=gone\.json: there is no such file"):
        validate(config)


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.slow
def test_the_winner_of_a_run_is_trained_again_by_its_schedule(tmp_path: Path) -> None:
    _python("hrfs", "experiment=smoke", f"hydra.run.dir={tmp_path / 'run'}")
    _python("hrfs.report", str(tmp_path / "run"), "figures=false")
    schedule = tmp_path / "run" / "winner_schedule.json"
    again = tmp_path / "again"
    _python(
        "hrfs", "experiment=smoke", "scheduler=replay", f"schedule={schedule}",
        f"hydra.run.dir={again}",
    )  # fmt: skip
    from hrfs.experiment.schedule import read_schedule

    wanted = read_schedule(schedule)
    slices = sorted(read_slices(again / "slices.csv"), key=lambda record: record.from_iteration)
    assert {record.trial for record in slices} == {0}
    assert slices[-1].to_iteration == wanted.iterations
    for record in slices:
        stretch = wanted.at(record.from_iteration)
        assert record.to_iteration <= stretch.to_iteration
        assert record.hyperparameters == stretch.hyperparameters


def _python(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
