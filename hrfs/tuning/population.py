"""The population as one Ray Tune experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from hrfs.experiment.launch import TRIALS_FOLDER
from hrfs.experiment.plan import Plan


def fit_population(
    trainable: Any,
    plan: Plan,
    constants: Mapping[str, Any],
    scheduler: TrialScheduler,
    run_config: tune.RunConfig,
) -> tune.ResultGrid:
    """Run one trial per member of the population, with the plan's first hyperparameters."""
    first = [plan.initial_hyperparameters(number) for number in range(plan.trials)]
    # Tune draws nothing from these: every value of every trial is among the points.
    drawn = {name: tune.uniform(0.0, 1.0) for name in plan.search_space}
    return tune.Tuner(
        trainable,
        param_space={**constants, **drawn},
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            search_alg=BasicVariantGenerator(points_to_evaluate=first),
            num_samples=plan.trials,
            reuse_actors=True,
            trial_dirname_creator=trial_folder,
        ),
        run_config=run_config,
    ).fit()


def trial_number(trial_id: str) -> int:
    """Tune's trial ids end in the number of the trial: ``a1b2c_00007``."""
    return int(trial_id.rsplit("_", 1)[1])


def trial_folder(trial: Trial) -> str:
    """Name of the trial's folder: ``trial_07``."""
    return f"trial_{trial_number(trial.trial_id):02d}"


def make_run_config(
    out_dir: Path, callbacks: Sequence[tune.Callback], **checkpoints: Any
) -> tune.RunConfig:
    """Where Tune keeps the trials. Retries and retention are the scheduler's business."""
    return tune.RunConfig(
        name=TRIALS_FOLDER,
        storage_path=str(out_dir.resolve()),
        callbacks=list(callbacks),
        checkpoint_config=tune.CheckpointConfig(**checkpoints),
        failure_config=tune.FailureConfig(max_failures=-1),
        verbose=0,
    )
