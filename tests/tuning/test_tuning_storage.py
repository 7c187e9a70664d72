"""Nodes that do not see the output folder are named before a run, and left out during one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from blind_node import blind_node
from harness import ONE_CPU
from ray_nodes import add_node

from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.errors import ConfigError, StorageError

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
EACH_CPU = ClusterSettings(mode="local", default_allocation=ONE_CPU)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def test_nodes_that_see_the_folder_leave_no_trace(ray_cluster: Any, folder: Path) -> None:
    from hrfs.tuning.pool import WorkerPool
    from hrfs.tuning.storage_view import require_shared

    require_shared(folder, WorkerPool(EACH_CPU).discover(), "address")
    assert list(folder.iterdir()) == []


def test_a_driver_that_cannot_write_says_so(ray_cluster: Any, folder: Path) -> None:
    from hrfs.tuning.pool import WorkerPool
    from hrfs.tuning.storage_gate import StorageGate
    from hrfs.tuning.storage_view import require_shared

    bundles = WorkerPool(EACH_CPU).discover()
    file = folder / "file"
    file.touch()
    with pytest.raises(ConfigError, match=r"cannot be written \(Not a directory\)"):
        require_shared(file, bundles, "address")
    with pytest.raises(StorageError, match="file cannot be written: Not a directory"):
        StorageGate(file).lets_in(bundles[0], 0.0)


def test_a_blind_node_is_named_before_training(ray_cluster: Any, folder: Path) -> None:
    with blind_node(ray_cluster, "blind", folder):
        done = subprocess.run(
            [
                sys.executable, "-m", "hrfs", "experiment=smoke", "cluster=address",
                f"cluster.address={ray_cluster.address}", "cluster.answer_within_s=60",
                "cluster.emulated=[]", f"hydra.run.dir={folder / 'run'}",
            ],
            cwd=folder.parent, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if line.startswith("hrfs: ")]
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in told if "hydra.run.dir" in line]
    assert "is not shared by all nodes (blind: it does not see what the driver wrote there)" in line
    assert "give a folder of a file system that all nodes have under the same path" in line
    assert not (folder / "run" / "trials").exists()
    assert list((folder / "run").glob(".storage-check-*")) == []


@pytest.mark.soak
def test_a_late_node_gets_work_once_it_sees_the_folder(
    ray_cluster: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from hrfs.tuning.pool import WorkerPool
    from hrfs.tuning.storage_gate import AGAIN_S

    pool = WorkerPool(EACH_CPU, poll_s=0.0)
    pool.discover()
    pool.keep_to_storage(folder)
    late = None
    joined: list[str] = []

    def look_until(node: str, at_s: float) -> None:
        deadline_s = time.monotonic() + 120
        while node not in joined and time.monotonic() < deadline_s:
            joined.extend(bundle.info.node for bundle in pool.look(at_s).joined)
            time.sleep(0.05)
        assert node in joined

    with (
        caplog.at_level(logging.WARNING, logger="hrfs"),
        blind_node(ray_cluster, "blind", folder) as blind,
    ):
        try:
            deadline_s = time.monotonic() + 120
            while "blind gets no work" not in caplog.text and time.monotonic() < deadline_s:
                joined.extend(bundle.info.node for bundle in pool.look(0.0).joined)
                time.sleep(0.05)
            late = add_node(ray_cluster, "late", 1)
            look_until("late", 0.0)
            assert "blind" not in joined
            blind.open_eyes()
            look_until("blind", AGAIN_S)
        finally:
            if late is not None:
                ray_cluster.remove_node(late)
    told = [record.getMessage() for record in caplog.records]
    wanted = f"node blind gets no work, for it does not share {folder}: "
    assert told == [wanted + "it does not see what the driver wrote there"]


def test_a_worker_that_cannot_write_is_asked_again(ray_cluster: Any, folder: Path) -> None:
    from hrfs.tuning.pool import WorkerPool
    from hrfs.tuning.storage_gate import StorageGate

    (bundle, *_) = WorkerPool(EACH_CPU).discover()
    gate = StorageGate(folder, [bundle.node_id])
    assert gate.lets_in(bundle, 0.0)
    gate.doubt(bundle.node_id)
    assert not gate.lets_in(bundle, 0.0)
    deadline_s = time.monotonic() + 60
    while not gate.lets_in(bundle, 0.0):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert list(folder.iterdir()) == []
