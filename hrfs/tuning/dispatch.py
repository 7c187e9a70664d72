"""Handing a slice to a worker, and making its record when it comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.result import AUTO_RESULT_KEYS

from hrfs.core.decisions import StartSlice
from hrfs.experiment.records import SliceRecord
from hrfs.experiment.slices import SliceRequest
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.cores import CORES_KEY
from hrfs.tuning.privates import Controller, point_at
from hrfs.tuning.trainable import FRESH_PROCESS, HANDOVER_KEY, SLICE_KEY

TIMES = ("load_s", "train_s", "evaluate_s", "save_s")
"""Parts of a slice that a trainable may report, in seconds."""
COUNTERS = ("training_iteration", "time_total_s")
"""What Tune counts per trial and a process must be told when it takes one over."""
_NOT_METRICS = {
    *AUTO_RESULT_KEYS,
    *TIMES,
    "iterations",
    "diverged",
    FRESH_PROCESS,
    "trial_id",
    "timestamp",
    "pid",
}


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A slice that is on its worker."""

    start: StartSlice
    trial: Trial
    bundle: Bundle
    started_s: float


def placement(bundle: Bundle) -> PlacementGroupFactory:
    """Resources of the bundle, on its node and nowhere else."""
    return PlacementGroupFactory(
        [dict(bundle.resources)],
        strategy="STRICT_PACK",
        bundle_label_selector=[{"ray.io/node-id": bundle.node_id}],
    )


def launch(
    controller: Controller,
    trial: Trial,
    start: StartSlice,
    bundle: Bundle,
    checkpoint: str | None,
    takes_over: bool,
) -> None:
    """Resume a PAUSED trial on ``bundle`` with the slice to do, from ``checkpoint``.

    ``takes_over`` says that the trainable loads the state by itself, see
    :class:`~hrfs.tuning.trainable.SliceTrainable`.
    """
    request = SliceRequest(
        slice=start.slice,
        trial=start.trial,
        from_iteration=start.from_iteration,
        iterations=start.iterations,
        worker=bundle.info,
        hyperparameters=start.hyperparameters,
    )
    factory = placement(bundle)
    config = {**trial.config, **start.hyperparameters, SLICE_KEY: request.to_dict()}
    if bundle.share is not None:
        config[CORES_KEY] = asdict(bundle.share)
    if takes_over:
        last = trial.last_result or {}
        counters = {name: last[name] for name in COUNTERS if name in last}
        config[HANDOVER_KEY] = {"path": checkpoint, "counters": counters}
    trial.set_config(config)
    trial.update_resources(factory)
    point_at(trial, checkpoint)
    if takes_over:
        point_at(trial, None)  # it comes with the config, and Tune need not restore it
    controller.keep_warm(bundle.info.name, factory)
    controller.queue(trial)


def metrics_of(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that the trainable reported, without what Tune adds."""
    return {
        name: float(value)
        for name, value in result.items()
        if name not in _NOT_METRICS
        and not name.startswith("config/")
        and type(value) is not bool
        and isinstance(value, Real)
    }


def score_of(result: Mapping[str, Any], metric: str) -> float:
    """Value of ``metric``; NaN if training diverged, which ranks last.

    Raises:
        KeyError: the trainable did not report the metric.
    """
    score = float(result[metric])
    return math.nan if result.get("diverged") or not math.isfinite(score) else score


def slice_record(
    done: Dispatched, result: Mapping[str, Any], reported_s: float, end_s: float, score: float
) -> SliceRecord:
    """Record of a slice whose state became safe at ``end_s``, the result being in before.

    A slice that had to wait for its process to start began when the process was ready: what
    came before belongs to no trial, and would hide how fast the worker is.
    """
    parts = {name: float(result.get(name, 0.0)) for name in TIMES}
    step_s = float(result["time_this_iter_s"])
    if "train_s" not in result:  # a trainable that does not time itself
        parts["train_s"] = step_s
    if "save_s" not in result:  # saved by Tune after the result
        parts["save_s"] = end_s - reported_s
    started_s, start = done.started_s, done.start
    if result.get(FRESH_PROCESS):
        started_s = max(started_s, reported_s - step_s - parts["load_s"])
    return SliceRecord(
        slice=start.slice,
        trial=start.trial,
        worker=start.worker,
        start_s=started_s,
        end_s=end_s,
        from_iteration=start.from_iteration,
        to_iteration=start.from_iteration + start.iterations,
        worker_kind=done.bundle.info.kind,
        score=score,
        reason=start.reason,
        parent=start.parent,
        wait_s=max(0.0, end_s - started_s - sum(parts.values())),
        **parts,
        metrics=metrics_of(result),
        hyperparameters=dict(start.hyperparameters),
    )


def held_s(record: SliceRecord, result: Mapping[str, Any]) -> tuple[float, float | None]:
    """Seconds that a slice cost its worker, and those of them that were not training.

    A hand-over counts, since every slice pays for one. What a new process does once (it builds
    the model, decodes the dataset) does not: of its first slice only the measured parts count.
    The second is None where the trainable told no training seconds that can be.
    """
    duration_s = record.busy_s if result.get(FRESH_PROCESS) else record.duration_s
    train_s = float(result.get("train_s", 0.0))
    if not train_s > 0.0:
        return duration_s, None
    overhead_s = max(0.0, duration_s - train_s)
    return duration_s, overhead_s if overhead_s < duration_s else None
