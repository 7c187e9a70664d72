"""The output folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrfs.cli.folder import claim
from hrfs.experiment.errors import ConfigError


def test_config_and_overrides_stand_at_the_top(tmp_path: Path) -> None:
    claim(tmp_path, "seed: 1\n", ["seed=1", "model=resnet18"])
    assert (tmp_path / "config.yaml").read_text() == "seed: 1\n"
    assert (tmp_path / "overrides.yaml").read_text() == "- seed=1\n- model=resnet18\n"


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    claim(tmp_path, "seed: 1\n", [])
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir=.*already holds the results of a run"):
        claim(tmp_path, "seed: 2\n", [])
    assert (tmp_path / "config.yaml").read_text() == "seed: 1\n"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir=.*: cannot be written \(Not a"):
        claim(tmp_path / "file" / "run", "seed: 1\n", [])
