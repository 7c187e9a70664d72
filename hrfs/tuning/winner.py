"""The winner of each population: who it is, and its one look at the test set."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hrfs.core.pbt import Mode, merit
from hrfs.experiment.launch import RunnerSpec
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import resolve_name
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.storage_saves import NO_SPACE, SaveError
from hrfs.tuning.trainable import STATE_FILE

log = logging.getLogger("hrfs")


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


@dataclass(frozen=True, slots=True)
class Tested:
    """A winner's metrics on the test set, or why there are none."""

    metrics: Mapping[str, float]
    reason: str = ""


def evaluate_all(
    runner: RunnerSpec,
    winners: Mapping[Path, Contender],
    bundles: Sequence[Bundle],
) -> dict[Path, Tested]:
    """Evaluate each winner on the test set, on a worker, and export it as a Lightning checkpoint.

    Winners are evaluated side by side, on the strongest workers that there are: those with
    most GPUs and, of these, most CPUs.

    Args:
        winners: by the file to which each is exported.
        bundles: the workers, at least one.

    Raises:
        SaveError: there is no space for the export.
    """
    assert runner.final is not None
    most = max((b.info.gpus, b.info.cpus) for b in bundles)
    strongest = itertools.cycle(b for b in bundles if (b.info.gpus, b.info.cpus) == most)
    under_way = {
        file: _start(runner, winner, bundle, file)
        for (file, winner), bundle in zip(winners.items(), strongest, strict=False)
    }
    return {file: _wait(task, winners[file].trial) for file, task in under_way.items()}


def _start(runner: RunnerSpec, winner: Contender, bundle: Bundle, export_to: Path) -> Any:
    assert winner.checkpoint is not None
    here = NodeAffinitySchedulingStrategy(bundle.node_id, soft=True)
    task = ray.remote(_evaluate).options(
        num_cpus=bundle.resources.get("CPU", 0),
        num_gpus=bundle.resources.get("GPU", 0),
        scheduling_strategy=here,
    )
    state = Path(winner.checkpoint) / STATE_FILE
    return task.remote(runner.final, dict(runner.settings), state, bundle.info, export_to)


def _wait(task: Any, trial: int) -> Tested:
    try:
        return Tested(ray.get(task))
    except RayError as error:
        if isinstance(error, RayTaskError) and isinstance(error.cause, SaveError):
            raise error.cause from error
        log.exception("the winner, trial %d, could not be tested", trial)
        why = str(error).strip().splitlines()[-1]
        return Tested({}, f"the winner could not be tested: {why}")


def _evaluate(
    dotted: str, settings: Mapping[str, Any], state: Path, worker: WorkerInfo, export_to: Path
) -> Mapping[str, float]:
    evaluate = resolve_name(dotted)
    try:
        metrics: Mapping[str, float] = evaluate(settings, state, worker, export_to)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise SaveError.of(error.filename or export_to, error) from error
    return metrics
