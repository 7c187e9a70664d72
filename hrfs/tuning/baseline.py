"""The baseline: Ray Tune's own PopulationBasedTraining on the same trainable.

One fixed resource request for every trial, as Tune asks for; slices of one interval; the same
population, search space, evaluation and stop. The request is the best one there is
(:mod:`hrfs.tuning.request`), unless the user names a kind of worker.

What Tune then does is Tune's, with one exception. Tune counts an exploiting trial's iterations
on from the donor's, mostly from one interval back, so that its trials would do a tenth more
than under any other scheduler before they stop. Here a trial stops when it has itself done the
plan's iterations: an exploit takes weights and hyperparameters. When to perturb next, and whose
turn it is, Tune decides by its own count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.result import TRAINING_ITERATION
from ray.tune.schedulers import PopulationBasedTraining

from hrfs.core.search_space import Choice, IntRange, SearchSpace
from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.interrupts import current
from hrfs.experiment.launch import RunnerSpec, SchedulerChoice, Status
from hrfs.experiment.observer import RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.slices import SliceRequest
from hrfs.tuning.baseline_records import OFFSET_KEY, BaselineRecords
from hrfs.tuning.baseline_stop import Stop
from hrfs.tuning.interrupt import EndOnInterrupt
from hrfs.tuning.lease import lease_worker
from hrfs.tuning.pool import WorkerPool
from hrfs.tuning.population import fit_population, make_run_config, trial_number
from hrfs.tuning.request import candidates, choose
from hrfs.tuning.request_places import placement_factory, room_withheld
from hrfs.tuning.request_probe import RunnerProbe
from hrfs.tuning.runner_trainable import RUNNER_KEY, RunnerTrainable
from hrfs.tuning.trainable import SLICE_KEY
from hrfs.tuning.winner import Contender

BASELINE_KEY = "hrfs_baseline"
"""Key of the trial's config: interval and stop in iterations, and the workers there are."""


class BaselineTrainable(RunnerTrainable):
    """One interval per ``step()``, on whatever worker Tune has put the process."""

    def build(self, config: Mapping[str, Any]) -> None:
        """Claim one of the workers of this node for as long as the process lives."""
        spec = config[BASELINE_KEY]
        self._lease = lease_worker(spec["workers"], spec["run"])
        self._keep_to(self._lease.cores)
        super().build(config)

    def step(self) -> dict[str, Any]:
        """Train up to the next multiple of the interval, or to the stop."""
        self._keep_to(self._lease.cores)  # if others held them before
        spec = self.config[BASELINE_KEY]
        done = self.iteration * int(spec["interval"]) + int(self.config[OFFSET_KEY])
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
        self._emulated = cluster.mode == "emulated"
        workers = WorkerPool(cluster).discover()
        probe = RunnerProbe(plan, runner, self._emulated, cluster.wait_s)
        found = candidates(workers, choice.request, self._emulated)
        self.request = choose(plan, found, choice.request, probe)
        self.bundles = list(self.request.chosen.bundles)
        self._stop = Stop(plan)
        self._contenders: list[Contender] = []
        self._start_s = time.monotonic()
        self._records = BaselineRecords(plan, watch, self._start_s)
        told = replace(plan, labels={**plan.labels, "request": self.request.told})
        serving = {bundle.info.name: bundle.info for bundle in self.bundles}
        watch.on_start(told, [serving.get(w.info.name, w.info) for w in workers])
        for worker in workers:
            if worker.info.name not in serving:
                reason = f"every trial asks for {self.request.chosen.name}"
                watch.on_worker_state(0.0, worker.info.name, "retired", reason)

    @property
    def now_s(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self._start_s

    @property
    def status(self) -> Status:
        """Finished if every trial came to its stop, or one to the target that ends the run."""
        return "finished" if self._stop.reached or self._records.finished else "interrupted"

    def contenders(self) -> list[Contender]:
        """Every trial's last score and checkpoint."""
        return self._contenders

    def fit(self, out_dir: Path) -> None:
        """Train until every trial has ended."""
        config = make_run_config(
            out_dir,
            [self._records, EndOnInterrupt()],
            num_to_keep=4,  # what Ray asks for under PBT: donors' checkpoints must last
            checkpoint_frequency=1,
            checkpoint_at_end=True,
        )
        config.stop = self._stop
        chosen = self.request.chosen
        trainable = tune.with_resources(
            BaselineTrainable, placement_factory(chosen, self._emulated)
        )
        scheduler, constants = ray_scheduler(self._plan), self._constants()
        try:
            with room_withheld(chosen, ray.nodes(), self._emulated), current().patient():
                grid = fit_population(trainable, self._plan, constants, scheduler, config)
        except KeyboardInterrupt:
            return  # without a winner: what Tune had of the trials is lost with it
        self._contenders = [
            Contender(
                trial_number(Path(result.path).name),
                (result.metrics or {}).get(self._plan.metric),
                result.checkpoint.path,
            )
            for result in grid
            if result.checkpoint
        ]

    def _constants(self) -> dict[str, Any]:
        workers = [
            {
                "node_id": b.node_id,
                "info": asdict(b.info),
                "cores": asdict(b.share) if b.share else None,
            }
            for b in self.bundles
        ]
        return {
            RUNNER_KEY: {"factory": self._runner.factory, "settings": dict(self._runner.settings)},
            OFFSET_KEY: 0,
            BASELINE_KEY: {
                "interval": self._plan.interval_iterations,
                "stop": self._plan.stop_iterations,
                "hyperparameters": sorted(self._plan.search_space),
                "workers": workers,
                "run": f"{time.time_ns():x}",
            },
        }


def ray_scheduler(plan: Plan) -> PopulationBasedTraining:
    """Ray's asynchronous PBT with the plan's numbers, its values clipped to their ranges."""
    return PopulationBasedTraining(
        time_attr=TRAINING_ITERATION,  # one per slice, the donor's after an exploit
        metric=plan.metric,
        mode=plan.mode,
        perturbation_interval=1,
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
