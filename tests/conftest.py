"""Fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from ray_nodes import add_node

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

HEAD_CPUS = 2
TEST_FOLDERS = [str(Path(__file__).parent / "tuning")]

# A busy machine must not fail a property test: pytest's own timeout is the limit.
settings.register_profile("hrfs", deadline=None)
settings.load_profile("hrfs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start Ray come first: else two processes would wait for the last of them."""
    long = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Cluster]:
    """The one Ray cluster of the session: a head node and three unlike nodes.

    The nodes are named by their label: ``fast`` (2 CPUs), ``middle`` and ``slow`` (1 CPU each).
    Tests that need nodes to die or to join add their own and remove them again.
    """
    from hrfs.tuning.session import TUNE_ENVIRONMENT

    os.environ.update(TUNE_ENVIRONMENT)
    # Workers' processes import the toys of the tests by name.
    os.environ["PYTHONPATH"] = os.pathsep.join([*TEST_FOLDERS, os.environ.get("PYTHONPATH", "")])
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": HEAD_CPUS,
            "include_dashboard": False,
            "object_store_memory": 100 * 2**20,
        },
    )
    for name, cpus in (("fast", 2), ("middle", 1), ("slow", 1)):
        add_node(cluster, name, cpus)
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()
