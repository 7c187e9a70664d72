"""A folder like that of a real run, made of simulated slices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from hrfs.reporting.slices_write import encode_slices
from hrfs.simulator.driver import play
from hrfs.simulator.policies import policy_for
from hrfs.simulator.spec import Workload


def config(workload: Workload, scheduler: str) -> dict[str, Any]:
    """What ``config.yaml`` says of a run, as far as a replay reads it."""
    return {
        "seed": 0,
        "seeds": None if workload.seeds is None else list(workload.seeds),
        "population": {
            "size": workload.trials,
            "stop_iterations": workload.stop_iteration,
            "interval_iterations": workload.interval,
        },
        "scheduler": {"policy": scheduler, "request": "auto", "max_staleness": None},
    }


def summary(failures: int = 0, **present: bool) -> str:
    """``summary.json`` of a run with these workers, present at its end or not."""
    workers = [{"name": name, "present_at_end": there} for name, there in present.items()]
    return json.dumps({"workers": workers, "failures": {"count": failures}})


def make_run_folder(folder: Path, workload: Workload, scheduler: str) -> Path:
    """Simulate ``workload`` and leave its slices as a real run would."""
    folder.mkdir(parents=True)
    records = play(workload, policy_for(scheduler, workload)).records
    (folder / "slices.csv").write_bytes(b"".join(encode_slices(records)))
    (folder / "config.yaml").write_text(yaml.safe_dump(config(workload, scheduler)))
    present = {worker.name: True for worker in workload.workers}
    (folder / "summary.json").write_text(summary(**present))
    return folder
