"""Runs policies over suites, in as many processes as wanted."""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.scheduling.suites import SUITES, golden
from hrfs.core.policies import POLICIES
from hrfs.core.policy import Policy
from hrfs.experiment.launch import RAY_PBT
from hrfs.reporting.spread import spread
from hrfs.simulator.bound import clairvoyant_bound_s
from hrfs.simulator.driver import simulate
from hrfs.simulator.policies import policy_for
from hrfs.simulator.spec import Workload

GOLDEN = "golden"
"""The suite of the recorded schedules' specs, which has names in place of seeds."""


NAMES = tuple(dict.fromkeys((*POLICIES, RAY_PBT)))
"""The policies, the one that only a simulation has among them."""


class Case(NamedTuple):
    """One run to be measured: a policy on a spec of a suite."""

    policy: str
    suite: str
    spec: int | str
    """The seed; in the golden suite the spec's name."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case."""

    case: Case
    ratio: float
    """Makespan / C*."""
    spread: float
    """Leader minus last in iterations, averaged over the run."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy on one suite."""

    median: float
    p90: float
    worst: float
    mean_spread: float

    @classmethod
    def of(cls, results: Sequence[Result]) -> Figures:
        """Quantiles are interpolated linearly."""
        ratios = [result.ratio for result in results]
        return cls(
            median=float(np.quantile(ratios, 0.5)),
            p90=float(np.quantile(ratios, 0.9)),
            worst=max(ratios),
            mean_spread=statistics.fmean(result.spread for result in results),
        )


def cases(policies: Sequence[str], suites: Sequence[str], seeds: Iterable[int]) -> list[Case]:
    """Every policy on every spec of every suite."""
    specs: dict[str, list[int | str]] = {
        suite: [*golden()] if suite == GOLDEN else [*seeds] for suite in suites
    }
    return [
        Case(policy, suite, spec)
        for suite in suites
        for spec in specs[suite]
        for policy in policies
    ]


def workload_of(case: Case) -> Workload:
    """The spec of a case."""
    if isinstance(case.spec, str):
        return golden()[case.spec]
    return SUITES[case.suite](case.spec)


def policy_of(case: Case, workload: Workload) -> Policy:
    """A fresh policy. Ray's trials ask for the kind of worker that would be done first."""
    return policy_for(case.policy, workload)


def run_case(case: Case) -> Result:
    """Simulate one case."""
    workload = workload_of(case)
    records = simulate(workload, policy_of(case, workload))
    makespan_s = max(record.end_s for record in records)
    apart = spread(records, workload.trials)
    assert apart is not None, "a simulated slice takes time"
    return Result(case, makespan_s / clairvoyant_bound_s(workload), apart.mean_iterations)


@contextmanager
def results(todo: Sequence[Case], processes: int) -> Iterator[Iterator[Result]]:
    """The results in the order of ``todo``, while other processes work on the rest."""
    if processes == 1:
        yield map(run_case, todo)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield pool.map(run_case, todo, chunksize=8)
