"""The scheduling benchmark: what its suites hold, that it repeats, and what it prints."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scheduling import __main__ as command
from benchmarks.scheduling.measure import (
    GOLDEN,
    NAMES,
    Case,
    Figures,
    Result,
    cases,
    policy_of,
    results,
    run_case,
)
from benchmarks.scheduling.plot import plot
from benchmarks.scheduling.suites import (
    DRIFT_STEPS,
    GOLDEN_FOLDER,
    SUITES,
    design,
    drift,
    elastic,
    failures,
    golden,
    overheads,
    slow_many,
)
from hrfs.core.bound import level_bound
from hrfs.core.paper import PaperPolicy
from hrfs.simulator.bound import clairvoyant_bound_s
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import SimulatedWorker, Workload

ROOT = Path(__file__).parents[2]
SEEDS = range(60)


def test_design_is_the_suite_of_the_reference() -> None:
    sizes = set()
    for seed in SEEDS:
        workload = design(seed)
        assert (workload.trials, workload.stop_iteration, workload.interval) == (20, 1000, 50)
        sizes.add(len(workload.workers))
        assert all(1 <= 1 / worker.seconds_per_iteration <= 100 for worker in workload.workers)
    assert min(sizes) == 3
    assert max(sizes) <= 24
    assert len(sizes) > 15
    assert design(0) != design(1)
    assert design(7) == design(7)


@pytest.mark.parametrize("suite", [overheads, drift, elastic, failures])
def test_other_suites_vary_the_same_clusters(suite: Callable[[int], Workload]) -> None:
    for seed in range(5):
        plain, varied = design(seed).workers, suite(seed).workers
        assert [(w.name, w.seconds_per_iteration) for w in plain] == [
            (w.name, w.seconds_per_iteration) for w in varied
        ]
        assert plain != varied
        assert suite(seed) == suite(seed)


def test_slow_workers_are_many_and_of_known_kinds() -> None:
    populations, kinds = set(), set()
    for seed in SEEDS:
        workload = slow_many(seed)
        populations.add(workload.trials)
        slow = [w for w in workload.workers if w.kind == "cpu"]
        assert 2 * len(slow) >= len(workload.workers) - 2
        assert len(workload.workers) <= 40
        kinds.add(len({worker.kind for worker in workload.workers}))
    assert 8 <= min(populations) < 12
    assert 28 < max(populations) <= 32
    assert kinds == {2, 3}


def test_overhead_and_migration_are_two_percent_of_the_fastest_slice() -> None:
    workload = overheads(3)
    fastest_s = min(worker.seconds_per_iteration for worker in workload.workers)
    expected_s = 0.02 * 50 * fastest_s
    assert workload.migration_s == pytest.approx(expected_s)
    assert {w.slice_overhead_s for w in workload.workers} == {workload.migration_s}
    assert clairvoyant_bound_s(workload) == clairvoyant_bound_s(design(3))


def test_workers_drift_by_a_factor_of_two() -> None:
    workload = drift(3)
    assert {worker.speed_changes[-1][1] for worker in workload.workers} == {0.5, 2.0}
    for worker in workload.workers:
        assert len(worker.speed_changes) == DRIFT_STEPS
        assert worker.speed_changes[-1][0] == pytest.approx(clairvoyant_bound_s(design(3)))


def test_workers_come_and_go_but_the_work_can_be_done() -> None:
    late = early = 0
    for seed in SEEDS:
        workload = elastic(seed)
        late += sum(worker.joins_at_s > 0 for worker in workload.workers)
        early += sum(worker.leaves_at_s is not None for worker in workload.workers)
        assert any(w.joins_at_s == 0 and w.leaves_at_s is None for w in workload.workers)
        for worker in workload.workers:
            assert worker.leaves_at_s is None or worker.leaves_at_s > worker.joins_at_s
        assert math.isfinite(clairvoyant_bound_s(workload))
    workers = sum(len(design(seed).workers) for seed in SEEDS)
    assert 0.2 < late / workers < 0.35
    assert 0.15 < early / workers < 0.35


def test_the_papers_rule_reaches_what_is_known_of_it() -> None:
    """Known for 200 other clusters of this kind: 1.044, 1.297, 1.548 and 249."""
    found = Figures.of([run_case(Case("hrfs_paper", "design", seed)) for seed in range(30)])
    assert found.median == pytest.approx(1.044, abs=0.02)
    assert found.p90 == pytest.approx(1.297, abs=0.08)
    assert 1.3 < found.worst < 2
    assert found.mean_spread == pytest.approx(249, abs=50)


def test_golden_ratios_are_those_of_the_recorded_schedules() -> None:
    for name, workload in golden().items():
        with (GOLDEN_FOLDER / f"{name}.slices.csv").open(newline="") as stream:
            makespan_s = max(float(row["end_s"]) for row in csv.DictReader(stream))
        speeds = [1 / worker.seconds_per_iteration for worker in workload.workers]
        bound_s = level_bound([workload.stop_iteration] * workload.trials, speeds)
        found = run_case(Case("hrfs_paper", GOLDEN, name))
        assert found.ratio == pytest.approx(makespan_s / bound_s), name


def test_rays_trials_ask_for_the_kind_with_the_most_speed() -> None:
    workers = (
        SimulatedWorker("c0", 0.2, kind="cpu"),
        SimulatedWorker("c1", 0.2, kind="cpu"),
        SimulatedWorker("g0", 0.1, kind="gpu:old"),
        SimulatedWorker("g1", 0.05, kind="gpu:new"),
    )
    workload = Workload(4, 100, 10, workers)
    for pool, expected in ((workers, {"g0", "g1"}), (workers[:2], {"c0", "c1"})):
        smaller = replace(workload, workers=pool)
        policy = policy_of(Case("ray_pbt", "design", 0), smaller)
        assert {record.worker for record in simulate(smaller, policy)} == expected
    assert isinstance(policy_of(Case("hrfs_paper", "design", 0), workload), PaperPolicy)


def test_figures_by_hand() -> None:
    case = Case("hrfs", "design", 0)
    ratios = [1.0, 1.1, 1.2, 1.3, 2.0]
    found = Figures.of([Result(case, ratio, 100 * ratio) for ratio in ratios])
    assert (found.median, found.worst) == (1.2, 2.0)
    assert found.p90 == pytest.approx(1.3 + 0.6 * 0.7)
    assert found.mean_spread == pytest.approx(132)


def test_every_policy_meets_every_spec() -> None:
    todo = cases(["static", "hrfs"], ["drift", GOLDEN], range(5, 7))
    assert len(todo) == len(set(todo)) == 2 * (2 + len(golden()))
    assert todo[:3] == [
        Case("static", "drift", 5),
        Case("hrfs", "drift", 5),
        Case("static", "drift", 6),
    ]


@pytest.mark.slow
def test_processes_change_no_figure() -> None:
    todo = cases(["hrfs_paper", "fastest_only"], list(SUITES), range(2))
    with results(todo, 2) as many, results(todo, 1) as one:
        assert list(many) == list(one)


@pytest.mark.slow
def test_the_command_runs_everything() -> None:
    command_line = [sys.executable, "-m", "benchmarks.scheduling", "--seeds", "2"]
    done = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in (*SUITES, *golden(), *NAMES):
        assert f" {name} " in done.stdout


def test_the_command_prints_figures_and_golden_ratios(
    capsys: pytest.CaptureFixture[str],
) -> None:
    which = ["--seeds", "2", "--first-seed", "7", "--suites", "drift", GOLDEN]
    command.main([*which, "--policies", "hrfs_paper", "--processes", "1"])
    printed = capsys.readouterr().out
    worst = max(run_case(Case("hrfs_paper", "drift", seed)).ratio for seed in (7, 8))
    (row,) = [line for line in printed.splitlines() if " drift " in line]
    assert f" {worst:.3f} " in row
    (row,) = [line for line in printed.splitlines() if " one_gpu_twenty_slow_cpus " in line]
    assert " 3.542 " in row
    assert f"{2 + len(golden())} runs from seed 7 on" in printed


@pytest.mark.slow
def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    todo = cases(["hrfs_paper", "fastest_only"], ["design", "elastic", GOLDEN], range(2))
    plot([run_case(case) for case in todo], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "argument --seeds: 0 is below 1"),
        (["--suites", "nosuch"], "argument --suites: invalid choice: 'nosuch'"),
        (["--policies", "nosuch"], "argument --policies: invalid choice: 'nosuch'"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
