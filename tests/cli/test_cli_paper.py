"""The paper's experiments: its bundles on a cluster of the user's own, or without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from hrfs.cli import schema
from hrfs.cli.build import build_cluster, to_plain
from hrfs.cli.paths import config_dir
from hrfs.cli.validate import check_cluster
from hrfs.experiment.cluster import NodeAllocation

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("experiment", ["paper_resnet18", "paper_resnet50"])
def test_hosts_that_nobody_filled_in_are_named(hrfs_main: CommandLine, experiment: str) -> None:
    code, out, error = hrfs_main(f"experiment={experiment}", "cluster.address=10.0.0.1:6379")
    assert (code, out) == (2, "")
    assert error == (
        "hrfs: cluster.allocation=<first GPU node>, <second GPU node>, <first CPU node>, "
        "<second CPU node>: stands for hosts of your own; write their names in a copy of "
        "conf/cluster/paper.yaml, or use cluster=local\n"
    )


def test_without_a_cluster_it_goes_on_to_the_images(hrfs_main: CommandLine) -> None:
    code, _, error = hrfs_main("experiment=paper_resnet50", "cluster=local", "dataset.root=none")
    assert code == 2
    assert error.startswith("hrfs: dataset.root=")


def test_a_copy_with_hosts_gives_the_papers_bundles(tmp_path: Path) -> None:
    text = (config_dir() / "cluster" / "paper.yaml").read_text()
    text = text.replace("<first GPU node>", "gpu1").replace("<second GPU node>", "10.0.0.2")
    text = text.replace("<first CPU node>", "cpu1").replace("<second CPU node>", "cpu2")
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "lab.yaml").write_text(text.replace("null", "10.0.0.1:6379"))
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        search = f"hydra.searchpath=[file://{tmp_path}]"
        cfg = compose("config", [search, "experiment=paper_resnet18", "cluster=lab"])
    config = to_plain(cfg)
    check_cluster(config["cluster"])
    gpu, cpu = NodeAllocation(gpus_per_worker=1, cpus_per_gpu_worker=1), NodeAllocation(12)
    cluster = build_cluster(config)
    assert cluster.allocation == {"gpu1": gpu, "10.0.0.2": gpu, "cpu1": cpu, "cpu2": cpu}
    assert cluster.default_allocation is None
    population = config["population"]
    assert (population["size"], population["stop_iterations"]) == (20, 1000)
    assert (population["interval_iterations"], population["target_score"]) == (50, 0.8)
    assert config["dataset"]["batch_size"] == 512


def test_the_emulated_cluster_has_the_papers_shape() -> None:
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = to_plain(compose("config", ["experiment=paper_emulated"]))
    workers = build_cluster(config).emulated
    assert [worker.kind for worker in workers] == ["gpu"] + ["cpu"] * 8
    assert sum(1 / worker.slowdown for worker in workers) < 1  # of two cores: none waits
    population = config["population"]
    assert population["size"] == 20
    assert population["stop_iterations"] == 20 * population["interval_iterations"]
