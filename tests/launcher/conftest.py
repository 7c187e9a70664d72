"""What all tests of the launcher share."""

from __future__ import annotations

import pytest

from hydra_plugins.hrfs_ray_tune_launcher import config


@pytest.fixture(autouse=True, scope="module")
def _own_defaults() -> None:
    """Tests of our command line leave its own defaults of the launcher in Hydra's ConfigStore."""
    config.register()
