"""The paper's command, on files in CIFAR-100's own format and on this machine as it is."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_helpers import write_cifar

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
def test_resnet50_on_cifar100_by_the_command_line(tmp_path: Path) -> None:
    write_cifar(tmp_path, "cifar-100-python", {"train": 40, "test": 8}, "fine_labels", 100)
    command = [
        "scheduler=hrfs", "model=resnet50", "dataset=cifar100", f"dataset.root={tmp_path}",
        "dataset.checksums=none", "dataset.batch_size=4", "population.size=2",
        "population.stop_iterations=4", "population.interval_iterations=2", "hydra.run.dir=out",
        "report.console=plain",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "hrfs", *command],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "out"
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["status"], summary["iterations"]) == ("finished", 8)
    assert summary["emulated"] is False
    assert set(summary["test"]) == {"test/acc", "test/loss"}
    with (out / "slices.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert all(row["worker"].endswith("cpu:0") for row in rows)
    tags = EventAccumulator(str(out / "tensorboard" / "trial_00")).Reload().Tags()["scalars"]
    assert {"train/loss", "val/acc", "lr", "momentum", "staleness", "worker/kind"} <= set(tags)
    opened = (
        "import sys; from hrfs.training.module import ImageClassifier as C; "
        "m = C.load_from_checkpoint(sys.argv[1], map_location='cpu', weights_only=True); "
        "print(sum(p.numel() for p in m.parameters()))"
    )
    size = subprocess.run(
        [sys.executable, "-c", opened, str(out / "winner.ckpt")],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert int(size.stdout) == 23_712_932  # torchvision's ResNet-50 with 100 classes
