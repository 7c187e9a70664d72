"""``hydra/launcher=ray_tune`` as the command line sets it up for jobs that use Ray themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from hrfs.cli import nested, schema
from hrfs.cli.paths import config_dir
from hydra_plugins.hrfs_ray_tune_launcher import config


@pytest.fixture(autouse=True, scope="module")
def _registered() -> Iterator[None]:
    schema.register()
    nested.register()
    yield
    config.register()
    GlobalHydra.instance().clear()


def launcher(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("config", ["hydra/launcher=ray_tune", *overrides], return_hydra_config=True)
        plain = OmegaConf.to_container(cfg.hydra.launcher, resolve=True)
    assert isinstance(plain, dict)
    return plain


def test_jobs_hold_nothing_and_run_one_at_a_time() -> None:
    conf = launcher("experiment=smoke")
    assert (conf["resources"]["cpu"], conf["max_concurrent"]) == (0, 1)


def test_ray_is_what_the_emulated_workers_need() -> None:
    init = launcher("experiment=smoke")["init"]
    assert (init["num_cpus"], init["num_gpus"], init["address"]) == (2, 0, None)
    assert init["resources"] == {"emulated_gpu": 1, "emulated_cpu": 1}


def test_ray_is_this_machine_or_the_cluster_at_the_address() -> None:
    init = launcher("cluster=local")["init"]
    assert [init[name] for name in ("address", "num_cpus", "num_gpus", "resources")] == [None] * 4
    init = launcher("cluster=address", "cluster.address=10.0.0.1:6379")["init"]
    assert init["address"] == "10.0.0.1:6379"
    assert init["object_store_memory"] is None
