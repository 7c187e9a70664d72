"""Policies by name, for the simulator: those of the core, and Ray's own by imitation."""

from __future__ import annotations

from hrfs.core.baselines import RayPbtPolicy
from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.policy import Policy
from hrfs.core.request import best_request, predicted_makespan_s
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import RAY_PBT, check_max_staleness
from hrfs.simulator.spec import SimulatedWorker, Workload

NAMES = (*POLICIES, RAY_PBT)
AUTO = "auto"
"""The request for the kind of worker that would be done first, as on a cluster."""


def check_staleness(name: str, workload: Workload, iterations: int | None) -> None:
    """Make sure that the policy can keep trials within so many iterations; None is no limit.

    Raises:
        ConfigError: another policy than ``hrfs``, or fewer iterations than the interval.
    """
    interval, named = workload.interval, "the workload's interval"
    check_max_staleness(name, iterations, interval, named, if_other_policy="leave it out")


def policy_for(name: str, workload: Workload, request: str = AUTO) -> Policy:
    """A fresh policy for one run of ``workload``.

    ``request`` is the kind of worker that the trials of ``ray_pbt`` ask for, up to its first
    colon; the others take none.

    Raises:
        ConfigError: a request that no worker answers, or that nobody makes; several populations
            under ``ray_pbt``, which knows one.
        ValueError: there is no policy of that name.
    """
    if name != RAY_PBT:
        if request != AUTO:
            rule = f"is for scheduler={RAY_PBT} alone; the other rules use workers of every kind"
            raise ConfigError("scheduler.request", request, rule, "leave it out")
        return make_policy(name)
    seeds = workload.populations.seeds
    if len(seeds) > 1:
        rule = f"scheduler={RAY_PBT} would exploit across the populations"
        raise ConfigError("seeds", list(seeds), rule, "simulate each by itself, with seed")
    kinds = [_kind(worker) for worker in workload.workers]
    if request == AUTO:
        return RayPbtPolicy(best_request(_predicted_s(workload)))
    if request not in kinds:
        rule = f"must be {AUTO} or one of {', '.join(dict.fromkeys(filter(None, kinds)))}"
        raise ConfigError("scheduler.request", request, rule)
    return RayPbtPolicy(request)


def _predicted_s(workload: Workload) -> dict[str, float]:
    """By kind, the makespan on its workers alone, as fast as at first and there from the start."""
    seconds: dict[str, list[float]] = {}
    for worker in workload.workers:
        factors = workload.kind_factors.get(worker.kind, (1.0,))
        each_s = worker.seconds_per_iteration * sum(factors) / len(factors)
        with_overhead_s = each_s + worker.slice_overhead_s / workload.interval
        seconds.setdefault(_kind(worker), []).append(with_overhead_s)
    shape = workload.trials, workload.stop_iteration, workload.interval
    return {kind: predicted_makespan_s(mine, *shape) for kind, mine in sorted(seconds.items())}


def _kind(worker: SimulatedWorker) -> str:
    return worker.kind.partition(":")[0]
