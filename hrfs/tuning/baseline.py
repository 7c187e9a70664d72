"""The baseline: Ray Tune's own PopulationBasedTraining on the same trainable.

One fixed resource request for every trial, as Tune asks for; slices of one interval; the same
population, search space, evaluation and stop. What Tune then does is Tune's: an exploiting
trial takes the donor's iterations with its weights.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import PlacementGroupFactory
from ray.tune.schedulers import PopulationBasedTraining

from hrfs.core.search_space import Choice, IntRange, SearchSpace
from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import RunnerSpec, SchedulerChoice, Status
from hrfs.experiment.observer import RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.slices import SliceRequest
from hrfs.tuning.allocation import Bundle, emulated_resource
from hrfs.tuning.baseline_records import BaselineRecords
from hrfs.tuning.lease import lease_worker
from hrfs.tuning.pool import WorkerPool
from hrfs.tuning.population import fit_population, make_run_config, trial_number
from hrfs.tuning.trainable import RUNNER_KEY, SLICE_KEY, RunnerTrainable
from hrfs.tuning.winner import Contender

BASELINE_KEY = "hrfs_baseline"
"""Key of the trial's config: interval and stop in iterations, and the workers there are."""


class BaselineTrainable(RunnerTrainable):
    """One interval per ``step()``, on whatever worker Tune has put the process."""

    def build(self, config: Mapping[str, Any]) -> None:
        """Claim one of the workers of this node for as long as the process lives."""
        super().build(config)
        spec = config[BASELINE_KEY]
        self._lease = lease_worker(spec["workers"], spec["run"])

    def step(self) -> dict[str, Any]:
        """Train up to the next multiple of the interval, or to the stop."""
        spec, done = self.config[BASELINE_KEY], self.iteration * self._interval
        request = SliceRequest(
            slice=self.iteration,
            trial=trial_number(self.trial_id),
            from_iteration=done,
            iterations=min(spec["interval"], spec["stop"] - done),
            worker=self._lease.worker,
            hyperparameters={name: self.config[name] for name in spec["hyperparameters"]},
        )
        self.config[SLICE_KEY] = request.to_dict()
        worker = {"worker": self._lease.worker.name, "worker_kind": self._lease.worker.kind}
        return super().step() | worker

    @property
    def _interval(self) -> int:
        return int(self.config[BASELINE_KEY]["interval"])


class BaselineRun:
    """The experiment under Ray's PopulationBasedTraining."""

    reason = ""

    def __init__(
        self,
        plan: Plan,
        choice: SchedulerChoice,
        cluster: ClusterSettings,
        runner: RunnerSpec,
        watch: RunObserver,
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._cluster = cluster
        self._start_s = time.monotonic()
        self.bundles = chosen_bundles(WorkerPool(cluster).discover(), choice.request)
        self._records = BaselineRecords(plan, watch, self._start_s)
        self._contenders: list[Contender] = []
        watch.on_start(plan, [bundle.info for bundle in self.bundles])

    @property
    def now_s(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self._start_s

    @property
    def status(self) -> Status:
        """Finished if every trial came to its stop."""
        return "finished" if len(self._contenders) == self._plan.trials else "interrupted"

    def contenders(self) -> list[Contender]:
        """Every trial's last score and checkpoint."""
        return self._contenders

    def fit(self, out_dir: Path) -> None:
        """Train until every trial has ended."""
        config = make_run_config(
            out_dir,
            [self._records],
            num_to_keep=4,  # what Ray asks for under PBT: donors' checkpoints must last
            checkpoint_frequency=1,
            checkpoint_at_end=True,
        )
        config.stop = {"iterations": self._plan.stop_iterations}
        grid = fit_population(
            tune.with_resources(BaselineTrainable, self._request()),
            self._plan,
            self._constants(),
            ray_scheduler(self._plan),
            config,
        )
        self._contenders = [
            Contender(
                trial_number(Path(result.path).name),
                (result.metrics or {}).get(self._plan.metric),
                result.checkpoint.path,
            )
            for result in grid
            if result.checkpoint
        ]

    def _request(self) -> PlacementGroupFactory:
        resources = dict(self.bundles[0].resources)
        if self._cluster.mode == "emulated":
            resources[emulated_resource(self.bundles[0].info.kind)] = 1.0
        return PlacementGroupFactory([resources])

    def _constants(self) -> dict[str, Any]:
        workers = [{"node_id": b.node_id, "info": asdict(b.info)} for b in self.bundles]
        return {
            RUNNER_KEY: {"factory": self._runner.factory, "settings": dict(self._runner.settings)},
            BASELINE_KEY: {
                "interval": self._plan.interval_iterations,
                "stop": self._plan.stop_iterations,
                "hyperparameters": sorted(self._plan.search_space),
                "workers": workers,
                "run": f"{time.time_ns():x}",
            },
        }


def chosen_bundles(bundles: Sequence[Bundle], request: str) -> list[Bundle]:
    """The workers that one resource request can use: all of one kind and one shape.

    ``auto`` takes the kind and shape that has most workers, GPUs first among equals.

    Raises:
        ConfigError: no worker is of the requested kind.
    """
    groups: dict[tuple[str, tuple[tuple[str, float], ...]], list[Bundle]] = {}
    for bundle in bundles:
        kind = bundle.info.kind.split(":")[0]
        if request in ("auto", kind):
            groups.setdefault((kind, tuple(sorted(bundle.resources.items()))), []).append(bundle)
    if not groups:
        kinds = sorted({bundle.info.kind.split(":")[0] for bundle in bundles})
        raise ConfigError(
            "scheduler.request",
            request,
            f"no worker is of that kind; there are {', '.join(kinds)}",
            "use one of these, or auto",
        )
    return max(groups.items(), key=lambda item: (len(item[1]), item[0][0] == "gpu"))[1]


def ray_scheduler(plan: Plan) -> PopulationBasedTraining:
    """Ray's asynchronous PBT with the plan's numbers, its values clipped to their ranges."""
    return PopulationBasedTraining(
        time_attr="iterations",
        metric=plan.metric,
        mode=plan.mode,
        perturbation_interval=plan.interval_iterations,
        hyperparam_mutations=_ray_domains(plan.search_space),
        quantile_fraction=plan.pbt.quantile,
        resample_probability=plan.pbt.resample_probability,
        custom_explore_fn=_Clip(plan.search_space),
    )


class _Clip:
    """Ray multiplies a value without end; the search space says where it may lie."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        for name, hyperparameter in self._space.items():
            domain = hyperparameter.mutation
            if domain is not None and not isinstance(domain, Choice):
                config[name] = type(domain.low)(min(max(config[name], domain.low), domain.high))
        return config


def _ray_domains(space: SearchSpace) -> dict[str, Any]:
    domains: dict[str, Any] = {}
    for name, hyperparameter in space.items():
        match hyperparameter.mutation:
            case None:
                continue
            case Choice(values=values):
                domains[name] = list(values)
            case IntRange(low=low, high=high):
                domains[name] = tune.randint(low, high + 1)
            case continuous:
                domains[name] = tune.uniform(continuous.low, continuous.high)
    return domains
