"""Hydra's own conformance suite for launchers, in full."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.version import VersionBase
from packaging.version import Version

from hydra_plugins.hrfs_ray_tune_launcher.launcher import RayTuneLauncher

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

Plugins.instance()  # before any test copies the registry of plugins, which it must be in

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LAUNCHER = "ray_tune"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _joined(ray_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher uses a Ray that the process has joined, which saves it a start per test.

    The suite's programs find the plugin even if the distribution is not installed. The suite
    expects Hydra's compatibility with 1.1, where jobs change into their folders; another test
    may have set another base.
    """
    monkeypatch.setattr(VersionBase.instance(), "version_base", Version("1.1"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)


def test_hydra_finds_the_launcher() -> None:
    found = {plugin.__name__ for plugin in Plugins.instance().discover(Launcher)}
    assert RayTuneLauncher.__name__ in found


@pytest.mark.parametrize(("launcher_name", "overrides"), [(LAUNCHER, [])])
class TestLauncher(LauncherTestSuite):  # type: ignore[misc]
    """Jobs in this process' Ray."""


@pytest.mark.parametrize(
    ("launcher_name", "overrides"), [(LAUNCHER, ["hydra.sweeper.max_batch_size=2"])]
)
class TestBatches(BatchedSweeperTestSuite):  # type: ignore[misc]
    """One launch after another, jobs numbered on."""


@pytest.fixture
def task_launcher_cfg() -> dict[str, Any]:
    """The programs of the suite bring no configuration of the launcher."""
    return {}


@pytest.fixture
def extra_flags(ray_cluster: Cluster) -> list[str]:
    """The programs of the suite join the session's cluster instead of starting one each."""
    address = f"hydra.launcher.init.address={ray_cluster.address}"
    return ["-m", f"hydra/launcher={LAUNCHER}", address]


class TestPrograms(IntegrationTestSuite):  # type: ignore[misc]
    """Programs of their own, run as a user does."""
