"""Makes the stored run of the present format of the event log: a run that was killed.

    python tests/stored/make_run.py tests/stored/run_format_1

A new format gets a new folder; those of the older ones stay, since they must still be read.
The network and the batches are as small as can be, for the folder is part of the repository.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SLICES = 8
"""So many are done when it is killed."""
ARGUMENTS = (
    "experiment=smoke",
    "model.width=1",
    "dataset.batch_size=8",
    "population.size=3",
    "population.stop_iterations=24",
    "cluster.emulated=[{name: only, kind: cpu, slowdown: 2.0, threads: 1}]",
    "report.console=plain",
)
KEPT = (
    "config.yaml",
    "slices.csv",
    ".hydra/config.yaml",
    "trials/hrfs-events.jsonl",
    "trials/*/checkpoint_*/state.ckpt",
)


def run_and_kill(folder: Path) -> None:
    """Train until enough slices are in the log; then driver and Ray are killed at once."""
    driver = subprocess.Popen(
        [sys.executable, "-m", "hrfs", *ARGUMENTS, "hydra.run.dir=run"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    log = folder / "run" / "trials" / "hrfs-events.jsonl"
    try:
        while not log.exists() or log.read_bytes().count(b'"SliceDone"') < SLICES:
            if driver.poll() is not None:
                raise SystemExit("the run ended by itself")
            time.sleep(0.01)
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()


def keep(run: Path, target: Path) -> None:
    """Copy what a resumed run reads, and nothing that tells of this machine."""
    shutil.rmtree(target, ignore_errors=True)
    for pattern in KEPT:
        for source in run.glob(pattern):
            copy = target / source.relative_to(run)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    noted = yaml.safe_load((run / ".hydra" / "hydra.yaml").read_bytes())
    choices = {"hydra": {"runtime": {"choices": noted["hydra"]["runtime"]["choices"]}}}
    (target / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(choices))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        run_and_kill(Path(scratch))
        keep(Path(scratch) / "run", Path(sys.argv[1]))
