"""A resumed run trains by what its workers chose before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrfs.cli.job import Launch
from hrfs.cli.resume import with_choices
from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import RunnerSpec, SchedulerChoice
from hrfs.training.settings import RunnerSettings

CHOICE = {"precision": "bf16-mixed", "channels_last": True, "compile": False}


def launch(precision: str) -> Launch:
    settings = {
        "model": {"_target_": "hrfs.A"},
        "dataset": {"_target_": "hrfs.B"},
        "trainer": {"precision": precision},
    }
    return Launch(ClusterSettings(), SchedulerChoice("hrfs"), RunnerSpec("a:b", settings))


def test_what_each_worker_chose_travels_to_it(tmp_path: Path) -> None:
    told = {"workers": {"a": {"device": "X", "trainer": CHOICE}, "b": {"cores": [1]}}}
    (tmp_path / "environment.json").write_text(json.dumps(told))
    settings = with_choices(launch("auto"), tmp_path).runner.settings
    assert RunnerSettings.from_plain(settings).chosen == {"a": told["workers"]["a"]}
    assert with_choices(launch("32-true"), tmp_path) == launch("32-true")


def test_a_damaged_file_matters_where_something_was_chosen(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text("{")
    with pytest.raises(ConfigError, match=r"environment\.json: cannot be read .*; delete it"):
        with_choices(launch("auto"), tmp_path)
    assert with_choices(launch("32-true"), tmp_path) == launch("32-true")
