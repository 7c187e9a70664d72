"""Populations at the edges: very small ones, odd scores, few workers and many."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.core.invariants import check
from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.search_space import Hyperparameter, LogUniform, Uniform
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import WorkerInfo
from hrfs.reporting import History, write_final
from hrfs.simulator.driver import play
from hrfs.simulator.result import Simulation
from hrfs.simulator.spec import LearningCurve, LearningRate, SimulatedWorker, Workload

STOP, INTERVAL = 60, 10
RATE = LearningRate(1e-4, 1.0, best=0.01)
CURVES = {
    "rising": LearningCurve((20.0, 40.0), learning_rate=RATE),
    "all equal": LearningCurve((20.0,), start=0.5, ceilings=(0.5,), learning_rate=RATE),
    "all NaN": LearningCurve((20.0,), ceilings=(math.nan,), learning_rate=RATE),
    "the first is NaN": LearningCurve(
        (20.0,), ceilings=(math.nan, *[1.0] * 11), learning_rate=RATE
    ),
}
FINISHED = "all iterations done"


def edge(trials: int, workers: int, curve: str, **keys: Any) -> Workload:
    """``workers`` from fast to slow."""
    pool = tuple(SimulatedWorker(f"w{n}", 0.1 * 3**n, kind="cpu") for n in range(workers))
    return Workload(trials, STOP, INTERVAL, pool, curve=CURVES[curve], **keys)


def summary_of(run: Simulation, workload: Workload, folder: Path) -> dict[str, Any]:
    """``summary.json`` of the run, as reporting writes it, read strictly."""
    space = {"learning_rate": Hyperparameter(LogUniform(1e-4, 1.0), Uniform(1e-4, 1.0))}
    plan = Plan(
        workload.all_trials, STOP, INTERVAL, space, target_score=workload.target_score,
        seeds=workload.populations.seeds,
    )  # fmt: skip
    history = History()
    history.on_start(plan, [WorkerInfo(w.name, w.kind, "here", 1.0) for w in workload.workers])
    for record in sorted(run.records, key=lambda record: record.end_s):
        history.on_slice(record)
    for exploit in run.exploits:
        history.on_exploit(exploit)
    for trial in range(workload.all_trials):
        history.on_trial_end(run.end_s, trial, FINISHED)
    write_final(folder, history, {})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no strict JSON")

    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(), parse_constant=refuse)
    return found


def is_whole(run: Simulation, workload: Workload) -> None:
    """Every trial did every iteration once, in a time that is a number."""
    for trial in range(workload.all_trials):
        mine = sorted((r for r in run.records if r.trial == trial), key=lambda r: r.slice)
        assert [r.from_iteration for r in mine] == [0, *[r.to_iteration for r in mine[:-1]]]
        assert mine[-1].to_iteration == STOP
    assert math.isfinite(run.end_s)
    assert run.end_s > run.begin_s


def takes_nothing_diverged(run: Simulation) -> None:
    """Nobody takes over a trial that, as it was last seen, had no number for a score."""
    for exploit in run.exploits:
        ended = [r for r in run.records if r.trial == exploit.donor and r.end_s <= exploit.time_s]
        last = max(ended, key=lambda r: r.to_iteration)
        rescued = [e for e in run.exploits if e.trial == exploit.donor and e.time_s >= last.end_s]
        assert rescued or (last.score is not None and math.isfinite(last.score))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("trials", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 6])
def test_small_populations(
    policy: str, curve: str, trials: int, workers: int, tmp_path: Path
) -> None:
    workload = edge(trials, workers, curve)
    run = play(workload, make_policy(policy), check)
    is_whole(run, workload)
    takes_nothing_diverged(run)
    told = summary_of(run, workload, tmp_path)
    assert told["makespan_s"] == pytest.approx(run.end_s - run.begin_s)
    assert told["ratio"] >= 1 - 1e-9
    assert told["trials"]["finished"] == trials
    if trials == 1 or curve in ("all equal", "all NaN"):
        assert not run.exploits, "there is nobody better"
    if curve == "all NaN" or (curve == "the first is NaN" and trials == 1):
        assert (told["winner"], told["best"]) == (None, None)
        assert told["diverged"] == len(run.records)
    else:
        assert math.isfinite(told["winner"]["score"])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("workers", [3, 10])
def test_a_trial_that_diverges_alone_is_rescued(policy: str, workers: int) -> None:
    workload = edge(8, workers, "the first is NaN")
    run = play(workload, make_policy(policy), check)
    is_whole(run, workload)
    takes_nothing_diverged(run)
    assert 0 in {exploit.trial for exploit in run.exploits}
    last = max((r for r in run.records if r.trial == 0), key=lambda r: r.to_iteration)
    assert last.score is not None
    assert math.isfinite(last.score)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("trials", "workers"), [(1, 1), (3, 1), (2, 6), (6, 3)])
def test_a_target_reached_in_the_first_slice_ends_the_run(
    policy: str, trials: int, workers: int, tmp_path: Path
) -> None:
    workload = edge(trials, workers, "rising", target_score=1e-9, stop_on_target=True)
    run = play(workload, make_policy(policy), check)
    first_s = min(record.end_s for record in run.records)
    assert all(record.start_s < first_s for record in run.records), "only what ran then ended"
    assert len(run.records) <= min(trials, workers)
    assert not run.exploits
    told = summary_of(run, workload, tmp_path)
    assert told["time_to_target_s"] == pytest.approx(first_s - run.begin_s)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_population_whose_trials_all_diverge_does_not_harm_the_others(
    policy: str, tmp_path: Path
) -> None:
    workload = edge(1, 3, "all NaN", seeds=(0, 1, 2), target_score=0.5, stop_on_target=True)
    run = play(workload, make_policy(policy), check)
    is_whole(run, workload)
    told = summary_of(run, workload, tmp_path)
    assert told["time_to_target_s"] is None
    assert [population["winner"] for population in told["populations"]] == [None] * 3


@settings(max_examples=60, deadline=None)
@given(
    policy=st.sampled_from(sorted(POLICIES)),
    trials=st.integers(1, 4),
    workers=st.integers(1, 8),
    curve=st.sampled_from(sorted(CURVES)),
    seeds=st.sampled_from([None, (3,), (0, 1, 2)]),
    fails=st.sampled_from([0.0, 0.3]),
)
def test_any_edge_with_failures(
    policy: str, trials: int, workers: int, curve: str, seeds: tuple[int, ...] | None, fails: float
) -> None:
    whole = edge(trials, workers, curve, seeds=seeds)
    failing = [
        SimulatedWorker(w.name, w.seconds_per_iteration, kind=w.kind, fails_probability=fails)
        for w in whole.workers
    ]
    workload = Workload(trials, STOP, INTERVAL, tuple(failing), curve=CURVES[curve], seeds=seeds)
    run = play(workload, make_policy(policy), check)
    is_whole(run, workload)
    takes_nothing_diverged(run)
