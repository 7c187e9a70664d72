"""``logger=``: refused before any cluster starts where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hrfs.cli import validate
from hrfs.experiment.errors import ConfigError

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "logger=[cvs]",
            "logger=cvs: must be one of csv, tensorboard, wandb, mlflow; did you mean csv?",
        ),
        ("logger=[csv,csv]", "logger=csv: is listed more than once"),
        ("logger=csv", "logger=csv: must be a list"),
        (
            "logger=[csv,wandb]",
            "logger=wandb: needs the library absent_wandb, which is not installed; "
            "pip install absent_wandb, or leave it out",
        ),
    ],
)
def test_one_line_and_exit_code_2(
    hrfs_main: CommandLine, monkeypatch: pytest.MonkeyPatch, argument: str, message: str
) -> None:
    monkeypatch.setitem(validate.LOGGER_LIBRARIES, "wandb", "absent_wandb")
    code, out, err = hrfs_main(argument, "hydra.run.dir=out")
    assert err.startswith(f"hrfs: {message}")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_folder_that_wandb_left_is_not_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "left_by_wandb").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(validate.LOGGER_LIBRARIES, "wandb", "left_by_wandb")
    with pytest.raises(ConfigError, match=r"^logger=wandb: needs the library left_by_wandb"):
        validate.check_loggers(["wandb"])


def test_known_names_are_those_that_can_be_made() -> None:
    source = Path(validate.__file__).parents[1] / "training" / "loggers.py"
    made = source.read_text().partition("LOGGERS: ")[2].partition("}\n")[0]
    assert all(f'"{name}": _{name},' in made for name in validate.LOGGER_LIBRARIES)
    assert made.count(": _") == len(validate.LOGGER_LIBRARIES)
    validate.check_loggers(["csv", "tensorboard"])
