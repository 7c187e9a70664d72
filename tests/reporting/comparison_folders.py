"""Folders of runs that never ran, with figures that a test has chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

REQUEST = {
    "asked": "auto",
    "chosen": "{CPU: 1, GPU: 1}",
    "kind": "gpu",
    "candidates": [
        {"request": "{CPU: 1, GPU: 1}", "kind": "gpu", "workers": 1, "iterations_per_s": 40.0,
         "predicted_makespan_s": 500.0, "failed": None},
        {"request": "{CPU: 12}", "kind": "cpu", "workers": 2, "iterations_per_s": 10.0,
         "predicted_makespan_s": 2000.0, "failed": None},
    ],
}  # fmt: skip


def write_run(
    folder: Path,
    policy: str,
    seed: int,
    makespan_s: float | None,
    best: float = 0.9,
    target_s: float | None = None,
    speeds: Mapping[str, float | None] | None = None,
    busy: Sequence[float] = (0.9, 0.5, 0.4),
    **changes: Any,
) -> Path:
    """One run of ``scheduler.policy=policy``; ``changes`` are keys of its configuration, dotted.

    ``speeds`` are iterations per second of the workers ``g0`` (a GPU), ``c0`` and ``c1``.
    """
    speeds = speeds or {"g0": 40.0, "c0": 5.0, "c1": 5.0}
    config: dict[str, Any] = {
        "seed": seed,
        "seeds": None,
        "model": {"network": "resnet18", "stem": "imagenet"},
        "population": {"size": 20, "stop_iterations": 1000},
        "scheduler": {"policy": policy, "request": "auto", "max_staleness": None},
        "report": {"console": "auto"},
    }
    status, emulated = changes.pop("status", "finished"), changes.pop("emulated", False)
    summary_changes = changes.pop("summary", {})
    for key, value in changes.items():
        group, _, name = key.replace("__", ".").partition(".")
        config[group] = {**config[group], name: value} if name else value
    workers = [
        {"name": name, "kind": "gpu" if name == "g0" else "cpu", "utilisation": share,
         "iterations_per_s": speed}
        for (name, speed), share in zip(speeds.items(), busy, strict=True)
    ]  # fmt: skip
    gained = {"gpu_only_bound_s": 500.0, "speedup": 1.2, "ceiling": 1.25}
    summary = {
        "format": 1,
        "status": status,
        "reason": "" if status == "finished" else "no worker left",
        "labels": {"scheduler": policy},
        "emulated": emulated,
        "seed": seed,
        "seeds": [seed],
        "plan": {"trials": 20, "stop_iterations": 1000, "metric": "val/acc", "mode": "max",
                 "target_score": 0.8},
        "best": {"score": best},
        "winner": {"score": best - 0.01},
        "test": {"test/acc": best - 0.02},
        "makespan_s": makespan_s,
        "bound_s": 400.0,
        "ratio": None if makespan_s is None else makespan_s / 400.0,
        "utilisation": sum(busy) / 3,
        "worker_s": 3600.0,
        "time_to_target_s": target_s,
        "iterations": 20_000,
        "exploits": 10,
        "failures": {"count": 0},
        "over_gpus": gained if all(speeds.values()) else None,
        "workers": workers,
        "request": REQUEST if policy == "ray_pbt" else None,
        **summary_changes,
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "overrides.yaml").write_text("[]\n")
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder
