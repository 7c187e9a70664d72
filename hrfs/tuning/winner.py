"""The winner: who it is, and its one look at the test set."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hrfs.core.pbt import Mode, merit
from hrfs.experiment.launch import RunnerSpec
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import resolve_name
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.trainable import STATE_FILE

log = logging.getLogger("hrfs")

WINNER_FILE = "winner.ckpt"
"""The winner's Lightning checkpoint, in the run's output folder."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A trial at the end of a run: its last score and the folder of its last checkpoint."""

    trial: int
    score: float | None
    checkpoint: str | None


def best_of(contenders: Iterable[Contender], mode: Mode) -> Contender | None:
    """The best last score among those with weights, the lowest number first among equals.

    The last score counts, not the best ever: it is that of the weights that still exist.
    None if no trial was evaluated, or all diverged.
    """
    ranked = [
        (merit(c.score, mode), -c.trial, c)
        for c in contenders
        if c.score is not None and c.checkpoint is not None
    ]
    finite = [entry for entry in ranked if not math.isinf(entry[0])]
    return max(finite, key=lambda entry: entry[:2])[2] if finite else None


def evaluate_best(
    runner: RunnerSpec, winner: Contender, bundles: Sequence[Bundle], out_dir: Path
) -> Mapping[str, float]:
    """Evaluate the winner on the test set, on a worker, and write its Lightning checkpoint.

    Raises:
        ray.exceptions.RayError: the evaluation failed on its worker.
    """
    assert runner.final is not None
    assert winner.checkpoint is not None
    bundle = max(bundles, key=lambda b: (b.info.gpus, b.info.cpus))
    here = NodeAffinitySchedulingStrategy(bundle.node_id, soft=True)
    task = ray.remote(_evaluate).options(
        num_cpus=bundle.resources.get("CPU", 0),
        num_gpus=bundle.resources.get("GPU", 0),
        scheduling_strategy=here,
    )
    state = Path(winner.checkpoint) / STATE_FILE
    ref = task.remote(
        runner.final, dict(runner.settings), state, bundle.info, out_dir / WINNER_FILE
    )
    metrics: Mapping[str, float] = ray.get(ref)
    return metrics


def _evaluate(
    dotted: str, settings: Mapping[str, Any], state: Path, worker: WorkerInfo, export_to: Path
) -> Mapping[str, float]:
    evaluate = resolve_name(dotted)
    metrics: Mapping[str, float] = evaluate(settings, state, worker, export_to)
    return metrics
