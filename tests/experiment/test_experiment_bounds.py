"""C* by the method that fits: linear program, level bound over time, and which of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from hrfs.core.bound import level_bound, level_bound_over_time
from hrfs.experiment import bounds
from hrfs.experiment.bounds import least_makespan_s, speed_steps, uniform_envelope
from hrfs.experiment.bounds_lp import SolverError, linear_program_bound

Steps = list[tuple[float, float]]
Array = NDArray[np.float64]

WORK = st.lists(st.just(0.0) | st.floats(1e-6, 1e4), min_size=1, max_size=6)
SPEEDS = st.lists(st.floats(1e-1, 1e2), min_size=1, max_size=5)


def matrices(rows: int, columns: int, least: float = 0.125) -> st.SearchStrategy[Array]:
    return arrays(float, (rows, columns), elements=st.floats(least, 10, width=32))


@st.composite
def clusters(draw: st.DrawFn) -> list[Steps]:
    """Workers that join, and of which some, or all, leave."""
    cluster = []
    for _ in range(draw(st.integers(1, 4))):
        joins_s, lasts_s = draw(st.integers(0, 20)), draw(st.integers(1, 20))
        leaves_s = joins_s + lasts_s if draw(st.booleans()) else None
        cluster.append(speed_steps(draw(st.floats(0.1, 10)), joins_s, leaves_s))
    return cluster


@given(WORK, SPEEDS)
def test_the_program_is_the_level_bound_where_speeds_are_uniform(
    work: list[float], speeds: list[float]
) -> None:
    found = linear_program_bound(work, [[(0.0, s)] for s in speeds], ones(speeds, work))
    assert found == pytest.approx(level_bound(work, speeds), rel=1e-7)


@given(WORK, clusters())
def test_the_program_is_the_level_bound_over_time_too(
    work: list[float], cluster: list[Steps]
) -> None:
    found = linear_program_bound(work, cluster, ones(cluster, work))
    assert found == pytest.approx(level_bound_over_time(work, cluster), rel=1e-7, abs=1e-9)


def ones(workers: list[Any], trials: list[float]) -> Array:
    return np.ones((len(workers), len(trials)))


@given(st.data(), st.integers(1, 5), st.floats(1, 100))
def test_one_trial_runs_where_it_is_fastest(data: st.DataObject, workers: int, work: float) -> None:
    seconds = data.draw(matrices(workers, 1))
    found = least_makespan_s([work], [[(0.0, 1.0)]] * workers, seconds)
    assert found == pytest.approx(work * seconds.min(), rel=1e-7)


@given(st.data(), st.integers(1, 5))
def test_one_worker_does_one_after_the_other(data: st.DataObject, trials: int) -> None:
    seconds = data.draw(matrices(1, trials))
    found = least_makespan_s([7.0] * trials, [[(0.0, 2.0)]], seconds)
    assert found == pytest.approx(3.5 * seconds.sum(), rel=1e-7)


def test_specialists_each_take_their_own_and_help() -> None:
    factors = np.array([[1.0, 10.0, 10.0], [10.0, 1.0, 1.0]])
    work = [10.0, 10.0, 10.0]
    still: list[Steps] = [[(0.0, 2.0)], [(0.0, 2.0)]]
    # Worker 0 is done with trial 0 after 5 s and helps for x s: 5 + x = 10 - x / 10.
    assert least_makespan_s(work, still, factors) == pytest.approx(5 + 50 / 11)
    late: list[Steps] = [[(0.0, 2.0)], [(4.0, 2.0)]]
    # 5 + x = 14 - x / 10
    assert least_makespan_s(work, late, factors) == pytest.approx(5 + 90 / 11)
    gone: list[Steps] = [[(0.0, 2.0)], [(0.0, 2.0), (4.0, 0.0)]]
    # Worker 1 brings 8 of the 20; worker 0 does the rest at 0.2 per second.
    assert least_makespan_s(work, gone, factors) == pytest.approx(5 + 60)


def test_work_that_cannot_be_done_never_ends() -> None:
    gone: list[Steps] = [[(0.0, 1.0), (5.0, 0.0)], [(0.0, 1.0), (6.0, 0.0)]]
    factors = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert least_makespan_s([50, 1], gone, factors) == math.inf
    assert least_makespan_s([5, 5], gone, factors) == pytest.approx(5)
    assert linear_program_bound([0.0], gone, factors[:, :1]) == 0


@given(st.data(), clusters(), st.integers(1, 4))
@settings(max_examples=50)
def test_more_work_or_slower_workers_never_help(
    data: st.DataObject, cluster: list[Steps], trials: int
) -> None:
    factors = data.draw(matrices(len(cluster), trials))
    work = data.draw(st.lists(st.floats(1, 100), min_size=trials, max_size=trials))
    bound_s = least_makespan_s(work, cluster, factors)
    dearer = factors * data.draw(matrices(len(cluster), trials, least=1.0))
    more = [p + data.draw(st.floats(0, 50)) for p in work]
    joined = np.vstack([factors, data.draw(matrices(1, trials))])
    assert least_makespan_s(work, cluster, dearer) >= bound_s * (1 - 1e-7)
    assert least_makespan_s(more, cluster, factors) >= bound_s * (1 - 1e-7)
    assert least_makespan_s(work, [*cluster, [(2.0, 1.0)]], joined) <= bound_s * (1 + 1e-7)


@given(st.data(), st.integers(1, 3), st.integers(1, 2))
@settings(max_examples=50)
def test_never_above_the_best_of_all_slice_schedules(
    data: st.DataObject, workers: int, trials: int
) -> None:
    """Each trial's work in two slices, in every order and on every worker."""
    factors = data.draw(matrices(workers, trials))
    joins_s = [float(data.draw(st.integers(0, 10))) for _ in range(workers)]
    cluster: list[Steps] = [[(at_s, 1.0)] for at_s in joins_s]
    pieces = data.draw(
        st.lists(st.tuples(st.floats(0.5, 9), st.floats(0.5, 9)), min_size=trials, max_size=trials)
    )
    best_s = best_slices_s(pieces, factors, joins_s)
    work = [sum(pair) for pair in pieces]
    assert least_makespan_s(work, cluster, factors) <= best_s * (1 + 1e-9)
    assert linear_program_bound(work, cluster, factors) <= best_s * (1 + 1e-9)


def best_slices_s(pieces: list[tuple[float, float]], factors: Array, joins_s: list[float]) -> float:
    """Least end over all orders and placements of the slices."""
    tasks = [trial for trial in range(len(pieces)) for _ in range(2)]
    ends = []
    for order in set(itertools.permutations(tasks)):
        for workers in itertools.product(range(len(joins_s)), repeat=len(tasks)):
            free_s, at_s, taken = list(joins_s), [0.0] * len(pieces), [0] * len(pieces)
            for trial, worker in zip(order, workers, strict=True):
                work = pieces[trial][taken[trial]]
                taken[trial] += 1
                end_s = max(free_s[worker], at_s[trial]) + work * factors[worker, trial]
                free_s[worker] = at_s[trial] = end_s
            ends.append(max(at_s))
    return min(ends)


@given(st.data(), SPEEDS, st.integers(1, 5))
def test_trials_that_cost_more_on_every_worker_are_more_work(
    data: st.DataObject, speeds: list[float], trials: int
) -> None:
    by_trial = data.draw(st.lists(st.floats(0.1, 10), min_size=trials, max_size=trials))
    factors = np.tile(by_trial, (len(speeds), 1))
    found = least_makespan_s([10.0] * trials, [[(0.0, s)] for s in speeds], factors)
    assert found == pytest.approx(level_bound([10 * f for f in by_trial], speeds), rel=1e-8)


@given(st.data(), st.integers(1, 5), st.integers(1, 5))
def test_the_envelope_is_never_slower_and_exact_for_products(
    data: st.DataObject, workers: int, trials: int
) -> None:
    factors = data.draw(matrices(workers, trials))
    by_worker, by_trial = uniform_envelope(factors)
    assert np.all(np.outer(by_worker, by_trial) <= factors * (1 + 1e-12))
    product = np.outer(factors[:, 0], factors[0])
    assert np.outer(*uniform_envelope(product)) == pytest.approx(product)


def test_a_program_too_large_is_relaxed_and_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = np.array([[1.0, 10.0], [10.0, 1.0], [3.0, 3.0]])
    cluster: list[Steps] = [[(0.0, 1.0)], [(0.0, 1.0)], [(3.0, 1.0)]]
    exact = least_makespan_s([10, 20], cluster, factors)
    monkeypatch.setattr(bounds, "MOST_PAIRS", 1)
    assert 0 < least_makespan_s([10, 20], cluster, factors) < exact


def test_a_solver_that_fails_leaves_the_relaxation_and_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    factors = np.array([[1.0, 10.0], [10.0, 1.0], [3.0, 3.0]])
    cluster: list[Steps] = [[(0.0, 1.0)], [(0.0, 1.0)], [(3.0, 1.0)]]
    exact = least_makespan_s([10, 20], cluster, factors)
    trouble = OptimizeResult(status=4, message="numerical difficulties")
    monkeypatch.setattr("scipy.optimize.linprog", lambda *args, **options: trouble)
    with pytest.raises(SolverError, match=r"^HiGHS did not solve the bound: numerical diff"):
        linear_program_bound([10, 20], cluster, factors)
    assert 0 < least_makespan_s([10, 20], cluster, factors) < exact
    assert "HiGHS did not solve the bound: numerical difficulties; C* is that" in caplog.text


@pytest.mark.parametrize(
    ("keys", "steps"),
    [
        ({}, [(0.0, 2.0)]),
        ({"joins_at_s": 3.0}, [(3.0, 2.0)]),
        ({"joins_at_s": 3.0, "leaves_at_s": 9.0}, [(3.0, 2.0), (9.0, 0.0)]),
        ({"changes": [(4.0, 2.0), (8.0, 0.5)]}, [(0.0, 2.0), (4.0, 1.0), (8.0, 4.0)]),
        ({"joins_at_s": 5.0, "changes": [(4.0, 2.0), (5.0, 4.0)]}, [(5.0, 0.5)]),
        ({"leaves_at_s": 6.0, "changes": [(4.0, 2.0), (8.0, 4.0)]},
         [(0.0, 2.0), (4.0, 1.0), (6.0, 0.0)]),
        ({"joins_at_s": 5.0, "leaves_at_s": 5.0}, [(5.0, 0.0)]),
    ],
)  # fmt: skip
def test_the_steps_of_a_worker(keys: dict[str, Any], steps: Steps) -> None:
    assert speed_steps(0.5, **keys) == steps


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (np.ones((2, 2)), r"^factors: shape \(2, 2\) is not \(1, 2\)$"),
        (np.array([[1.0, 0.0]]), r"^factors: each must be positive and finite$"),
        (np.array([[1.0, math.nan]]), r"^factors: each must be positive and finite$"),
    ],
)
def test_impossible_factors_are_refused(factors: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        least_makespan_s([1.0, 1.0], [[(0.0, 1.0)]], factors)


def test_impossible_steps_and_work_are_refused_with_factors_too() -> None:
    with pytest.raises(ValueError, match=r"^steps=\[.*\]: each speed must be finite"):
        least_makespan_s([1.0], [[(0.0, -1.0)]], np.ones((1, 1)))
    with pytest.raises(ValueError, match=r"^work=\[-1.0\]: each must be finite and not negative$"):
        least_makespan_s([-1.0], [[(0.0, 1.0)]], np.ones((1, 1)))
    with pytest.raises(ValueError, match=r"^speeds=\[\]: at least one worker$"):
        least_makespan_s([1.0], [], np.ones((0, 1)))
