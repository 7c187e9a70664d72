"""The least makespan: closed forms, monotony, and never above what any policy reaches."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.core.bound import level_bound
from hrfs.core.policies import POLICIES, make_policy
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import SimulatedWorker, Workload

WORK = st.lists(st.floats(0, 1e4), max_size=8)
SPEEDS = st.lists(st.floats(1e-2, 1e2), min_size=1, max_size=8)


def test_no_work_takes_no_time() -> None:
    assert level_bound([], [1.0]) == 0
    assert level_bound([0.0, 0.0], [1.0, 2.0]) == 0


@given(st.floats(1, 1e4), SPEEDS)
def test_one_job_runs_on_the_fastest_machine(work: float, speeds: list[float]) -> None:
    assert level_bound([work], speeds) == pytest.approx(work / max(speeds))


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=8), st.integers(1, 8))
def test_equal_machines_are_mcnaughtons_case(work: list[float], machines: int) -> None:
    expected = max(max(work), sum(work) / machines)
    assert level_bound(work, [1.0] * machines) == pytest.approx(expected)


def test_a_large_job_on_the_fastest_machine_decides() -> None:
    assert level_bound([10, 100, 10], [1, 10, 1]) == pytest.approx(100 / 10)
    # The two largest on the two fastest: (90 + 80) / (10 + 5), above 90/10 and 172/16.
    assert level_bound([1, 90, 1, 80], [5, 1, 10]) == pytest.approx(170 / 15)


@given(WORK, SPEEDS, st.data())
def test_more_work_or_slower_machines_never_help(
    work: list[float], speeds: list[float], data: st.DataObject
) -> None:
    bound = level_bound(work, speeds)
    more = [w + data.draw(st.floats(0, 100)) for w in work]
    slower = [s * data.draw(st.floats(0.1, 1)) for s in speeds]
    assert level_bound(more, speeds) >= bound * (1 - 1e-9)
    assert level_bound(work, slower) >= bound * (1 - 1e-9)
    assert level_bound(work, [*speeds, 1.0]) <= bound * (1 + 1e-9)
    assert bound >= sum(work) / sum(speeds) * (1 - 1e-9)


@given(
    trials=st.integers(1, 6),
    stop=st.integers(1, 60),
    part=st.floats(0, 1),
    seconds=st.lists(st.floats(0.01, 10), min_size=1, max_size=6),
)
@settings(max_examples=60)
@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_no_policy_beats_the_bound(
    policy: str, trials: int, stop: int, part: float, seconds: list[float]
) -> None:
    workers = tuple(SimulatedWorker(f"w{i}", s) for i, s in enumerate(seconds))
    workload = Workload(trials, stop, max(1, round(part * stop)), workers)
    makespan_s = max(record.end_s for record in simulate(workload, make_policy(policy)))
    bound_s = level_bound([stop] * trials, [1 / s for s in seconds])
    assert makespan_s >= bound_s * (1 - 1e-9)


@pytest.mark.parametrize("speeds", [[], [1.0, 0.0], [-1.0], [math.nan], [math.inf]])
def test_impossible_speeds_are_refused(speeds: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^speeds=\[.*\]: at least one, each positive and finite"):
        level_bound([1.0], speeds)


@pytest.mark.parametrize("work", [[-1.0, 2.0], [math.nan, 1.0], [math.inf]])
def test_impossible_work_is_refused(work: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^work=\[.*\]: each must be finite and not negative$"):
        level_bound(work, [1.0])
