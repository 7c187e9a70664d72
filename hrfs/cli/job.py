"""One run from its composed configuration to its results."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hrfs.cli import stopped
from hrfs.cli.build import build_cluster, build_plan, build_runner, build_scheduler, to_plain
from hrfs.cli.errors import unwritable
from hrfs.cli.folder import claim, hold
from hrfs.cli.interruption import how_to_go_on, resumable
from hrfs.cli.validate import validate
from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.errors import StorageError
from hrfs.experiment.event_replay import Replay
from hrfs.experiment.launch import Outcome, RunnerSpec, SchedulerChoice
from hrfs.experiment.observer import RunObserver
from hrfs.experiment.plan import Plan

if TYPE_CHECKING:
    from hrfs.reporting import History


def run_job(cfg: DictConfig) -> Outcome:
    """Check ``cfg``, train, and write the results into Hydra's output folder.

    Everything that can be checked without a cluster is, in this order: values, dataset files,
    output folder; only then is Ray imported.

    Raises:
        ConfigError: something the user can mend.
    """
    config = to_plain(cfg)
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    validate(config, overrides)
    plan = build_plan(config, hydra_config.runtime.choices)
    launch = Launch(build_cluster(config), build_scheduler(config), build_runner(config))
    check_data(config)
    out_dir = Path(hydra_config.runtime.output_dir)
    with resumable(out_dir, launch.scheduler.policy):
        claim(out_dir, yaml.safe_dump(config, sort_keys=False), overrides)
        with hold(out_dir):
            return train(config, plan, launch, out_dir)


@dataclass(frozen=True, slots=True)
class Launch:
    """What a plan is run with."""

    cluster: ClusterSettings
    scheduler: SchedulerChoice
    runner: RunnerSpec


def train(
    config: Mapping[str, Any],
    plan: Plan,
    launch: Launch,
    out_dir: Path,
    history: History | None = None,
    replay: Replay | None = None,
) -> Outcome:
    """Run a checked experiment on its cluster and write every report of it.

    ``history`` and ``replay`` are those of a run that goes on: what its records and its event log
    say.

    Raises:
        ConfigError: the cluster does not answer, or no worker can be made of it.
    """
    from hrfs.reporting import History, make_observers, print_summary, write_final

    if replay is None:
        _write_environment(out_dir)
    history = history or History()
    report = config["report"]
    observers = make_observers(out_dir, history, report["console"], report["every_s"])
    if config["logger"]:
        from hrfs.training.loggers import TrialLoggers

        observers.append(TrialLoggers(config["logger"], out_dir / "loggers", history.warn))
    outcome = _run(config, plan, launch, out_dir, observers, replay)
    outcome = stopped.unless_whole(outcome, observers)
    summary = write_final(out_dir, history, outcome.test_metrics, outcome)
    outcome = stopped.unless_summed_up(outcome, out_dir / "summary.json", summary)
    with stopped.printing():
        print_summary(summary, out_dir, report["console"])
    stopped.tell(outcome, launch.scheduler.policy, out_dir)
    if outcome.status == "interrupted":
        again = how_to_go_on(out_dir, launch.scheduler.policy)
        print(f"hrfs: interrupted; {again}", file=sys.stderr)
    if outcome.status == "gave up" and not isinstance(outcome, stopped.Stopped):
        print(f"hrfs: {_why_given_up(outcome, out_dir)}", file=sys.stderr)
    return outcome


def _write_environment(out_dir: Path) -> None:
    from hrfs.reporting import write_environment
    from hrfs.reporting.assembly import ENVIRONMENT

    try:
        write_environment(out_dir / ENVIRONMENT)
    except OSError as error:
        raise unwritable(error, str(out_dir)) from error


def _run(
    config: Mapping[str, Any],
    plan: Plan,
    launch: Launch,
    out_dir: Path,
    observers: Sequence[RunObserver],
    replay: Replay | None,
) -> Outcome:
    from hrfs.tuning.run import run_experiment

    try:
        return run_experiment(
            plan=plan,
            scheduler=launch.scheduler,
            cluster=launch.cluster,
            runner=launch.runner,
            out_dir=out_dir,
            observers=observers,
            max_failures=config["max_failures"],
            replay=replay,
        )
    except StorageError as fault:
        return stopped.stopped_by(fault, plan)


def _why_given_up(outcome: Outcome, out_dir: Path) -> str:
    """What failed, and where the tracebacks are."""
    from hrfs.reporting.assembly import FAILURES

    file = out_dir / FAILURES
    where = f"; failures and tracebacks: {file}" if file.exists() else ""
    return f"gave up: {outcome.reason}{where}"


def check_data(config: Mapping[str, Any]) -> None:
    """Fetch the dataset if asked to, then check its files and that a batch fits.

    A data module of the user's own is left to the workers, which alone may import it.

    Raises:
        ConfigError: files missing or damaged, fewer training samples than a batch, or images
            that must be resident and have no room.
    """
    from hrfs.training.dataset_check import check_dataset, prepare_dataset

    prepare_dataset(config["dataset"])
    # the workers of a cluster elsewhere have memory of their own
    check_dataset(config["dataset"], trains_here=config["cluster"]["mode"] != "address")
