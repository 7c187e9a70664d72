"""C* of a spec: every key that changes a speed counts, and no policy ends before."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.cli.simulate_summary import summarise
from hrfs.core.policies import POLICIES, make_policy
from hrfs.reporting.figures import bound_s
from hrfs.simulator.bound import clairvoyant_bound_s, cost_factor, cost_factors
from hrfs.simulator.driver import play, simulate
from hrfs.simulator.spec import SimulatedWorker, Workload

FAST = SimulatedWorker("fast", 0.1, kind="gpu")
SLOW = SimulatedWorker("slow", 0.5, kind="cpu")


def test_each_key_by_hand() -> None:
    assert clairvoyant_bound_s(Workload(2, 60, 10, (FAST, SLOW))) == pytest.approx(10)
    assert clairvoyant_bound_s(Workload(2, 60, 10, (FAST, SLOW)), [60, 0]) == pytest.approx(6)
    late = SimulatedWorker("late", 0.1, joins_at_s=6)
    assert clairvoyant_bound_s(Workload(2, 60, 10, (FAST, late))) == pytest.approx(9)
    gone = SimulatedWorker("gone", 0.1, leaves_at_s=3)
    assert clairvoyant_bound_s(Workload(2, 60, 10, (FAST, gone))) == pytest.approx(9)
    assert clairvoyant_bound_s(Workload(2, 60, 10, (gone,))) == math.inf
    halved = SimulatedWorker("halved", 0.1, speed_changes=((6.0, 2.0),))
    assert clairvoyant_bound_s(Workload(2, 60, 10, (halved,))) == pytest.approx(18)


def test_factors_of_trials_and_kinds() -> None:
    assert cost_factors(Workload(2, 60, 10, (FAST, SLOW))) is None
    assert cost_factor(Workload(2, 60, 10, (FAST, SLOW))) is None
    heavy = Workload(2, 60, 10, (FAST,), work_factor=(1.0, 3.0))
    assert clairvoyant_bound_s(heavy) == pytest.approx(24)
    both = Workload(
        2, 60, 10, (FAST, SLOW), work_factor=(1.0, 3.0), kind_factors={"gpu": (1.0, 20.0)}
    )
    assert cost_factors(both) == pytest.approx(np.array([[1.0, 60.0], [1.0, 3.0]]))
    factor = cost_factor(both)
    assert factor is not None
    assert factor("fast", 1) == 60
    # Trial 1 in 60 x 1.5 s on the slow worker; the GPU, at 6 s, could only take its place.
    assert clairvoyant_bound_s(both) == pytest.approx(90)


@given(
    trials=st.integers(1, 4),
    workers=st.lists(
        st.tuples(st.floats(0.05, 2), st.booleans(), st.integers(0, 10)), min_size=1, max_size=4
    ),
    data=st.data(),
)
@settings(max_examples=40)
@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_no_policy_ends_before(
    policy: str, trials: int, workers: list[tuple[float, bool, int]], data: st.DataObject
) -> None:
    pool = tuple(
        SimulatedWorker(
            f"w{i}",
            seconds,
            kind="gpu" if on_gpu else "cpu",
            joins_at_s=float(joins_s) if i else 0.0,
            speed_changes=((5.0, data.draw(st.sampled_from([0.5, 1.0, 2.0]))),),
        )
        for i, (seconds, on_gpu, joins_s) in enumerate(workers)
    )
    costs = st.tuples(*[st.floats(0.25, 4)] * trials)
    workload = Workload(
        trials, 30, 10, pool, work_factor=data.draw(costs), kind_factors={"gpu": data.draw(costs)}
    )
    end_s = max(record.end_s for record in simulate(workload, make_policy(policy)))
    assert clairvoyant_bound_s(workload) <= end_s * (1 + 1e-9)


@given(
    seconds=st.lists(st.floats(0.05, 2), min_size=1, max_size=4),
    costs=st.lists(st.floats(0.25, 4), min_size=1, max_size=5),
)
@settings(max_examples=40)
def test_measured_speeds_give_the_bound_of_the_spec(
    seconds: list[float], costs: list[float]
) -> None:
    pool = tuple(SimulatedWorker(f"w{i}", s) for i, s in enumerate(seconds))
    workload = Workload(len(costs), 30, 10, pool, work_factor=tuple(costs))
    records = simulate(workload, make_policy("hrfs_paper"))
    found = bound_s(records, cost_factor(workload))
    seen = {record.worker for record in records}
    used = tuple(worker for worker in pool if worker.name in seen)
    whole = Workload(len(costs), 30, 10, used, work_factor=tuple(costs))
    assert found == pytest.approx(clairvoyant_bound_s(whole))


def test_a_simulation_tells_the_speed_up_over_its_gpus_and_the_ceiling() -> None:
    workload = Workload(8, 200, 20, (FAST, SLOW, SimulatedWorker("slow2", 0.5, kind="cpu")))
    summary = summarise(workload, play(workload, make_policy("hrfs_paper")))
    told = summary["over_gpus"]
    assert told["gpu_only_bound_s"] == pytest.approx(8 * 200 * 0.1)
    assert told["speedup"] == pytest.approx(160 / summary["makespan_s"])
    assert told["ceiling"] == pytest.approx(14 / 10)
    assert summary["bound_s"] == pytest.approx(1600 / 14)
    alone = Workload(8, 200, 20, (FAST,))
    assert summarise(alone, play(alone, make_policy("static")))["over_gpus"] is None
