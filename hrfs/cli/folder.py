"""The output folder of one run: claimed once, so that two runs never write into each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from hrfs.cli.errors import unwritable
from hrfs.experiment.errors import ConfigError


def claim(folder: Path, config_yaml: str, overrides: Sequence[str]) -> None:
    """Write ``config.yaml`` (resolved) and ``overrides.yaml`` into a ``folder`` without a run.

    Raises:
        ConfigError: the folder already holds a run, or cannot be written.
    """
    try:
        with (folder / "config.yaml").open("x") as stream:  # x: of two runs only one gets it
            stream.write(config_yaml)
        (folder / "overrides.yaml").write_text(yaml.safe_dump(list(overrides)))
    except FileExistsError as error:
        raise ConfigError(
            "hydra.run.dir", folder, "already holds the results of a run", "choose another folder"
        ) from error
    except OSError as error:
        raise unwritable(error, str(folder)) from error
