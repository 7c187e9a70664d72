"""Virtual time: how long slices last, how ties are broken, and what is left behind."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.policy import Choice, Hold, Policy, Snapshot, Start
from hrfs.core.state import Worker
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import SimulatedWorker, Workload


class _FirstByInterval(Policy):
    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        place = snapshot.waiting.first
        left = snapshot.stop_iterations - place.iteration
        return Start(place.trial, min(left, snapshot.interval_iterations), "first")


class _Never(Policy):
    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        return Hold("never")


def test_a_slice_lasts_overhead_and_iterations_and_migration() -> None:
    """Two workers, three trials: durations of every slice by hand."""
    workload = Workload(
        trials=3,
        stop_iteration=20,
        interval=10,
        workers=(SimulatedWorker("a", 1.0, 2.0), SimulatedWorker("b", 3.0)),
        migration_s=5.0,
        duration_factors=(1.0, 0.5, 2.0),
    )
    records = simulate(workload, _FirstByInterval())
    assert [(r.slice, r.trial, r.worker, r.start_s, r.end_s) for r in records] == [
        (0, 0, "a", 0.0, 12.0),  # 2 + 10 * 1 * 1
        (1, 1, "b", 0.0, 15.0),  # 10 * 3 * 0.5
        (2, 2, "a", 12.0, 34.0),  # 2 + 10 * 1 * 2; its first slice, so no migration
        (3, 0, "b", 15.0, 50.0),  # 10 * 3 * 1 + 5: it comes from a
        (4, 1, "a", 34.0, 46.0),  # 2 + 10 * 1 * 0.5 + 5: it comes from b
        (5, 2, "a", 46.0, 68.0),  # 2 + 10 * 1 * 2: it stayed
    ]
    assert [(r.from_iteration, r.to_iteration, r.iterations) for r in records] == [
        (0, 10, 10),
        (0, 10, 10),
        (0, 10, 10),
        (10, 20, 10),
        (10, 20, 10),
        (10, 20, 10),
    ]
    assert {r.reason for r in records} == {"first"}
    assert {r.worker_kind for r in records} == {""}


def test_slices_that_end_together_are_handled_in_the_order_of_their_numbers() -> None:
    workers = (SimulatedWorker("a", 2.0), SimulatedWorker("b", 1.0), SimulatedWorker("c", 1.0))
    records = simulate(Workload(4, 20, 10, workers), _FirstByInterval())
    # At 10 s slices 1 and 2 end: b takes trial 3, c the first of its equals, trial 1.
    assert [(r.trial, r.worker) for r in records[3:5]] == [(3, "b"), (1, "c")]
    # At 20 s slice 0 ends before 3 and 4: a is served first and takes trial 2, which waited.
    assert (records[5].trial, records[5].worker, records[5].start_s) == (2, "a", 20.0)


@given(
    trials=st.integers(1, 5),
    stop=st.integers(1, 30),
    part=st.floats(0, 1),
    seconds=st.lists(st.floats(0.1, 10), min_size=1, max_size=5),
    overhead_s=st.sampled_from([0.0, 0.7]),
    migration_s=st.sampled_from([0.0, 3.0]),
    factors=st.lists(st.floats(0.5, 2), min_size=1, max_size=3),
)
@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_every_iteration_is_done_once_and_nothing_overlaps(
    policy: str,
    trials: int,
    stop: int,
    part: float,
    seconds: list[float],
    overhead_s: float,
    migration_s: float,
    factors: list[float],
) -> None:
    workers = tuple(SimulatedWorker(f"w{i}", s, overhead_s) for i, s in enumerate(seconds))
    interval = max(1, round(part * stop))
    workload = Workload(trials, stop, interval, workers, migration_s, tuple(factors))
    records = simulate(workload, make_policy(policy))
    assert [record.slice for record in records] == list(range(len(records)))
    for trial in range(trials):
        mine = [record for record in records if record.trial == trial]
        assert [r.from_iteration for r in mine] == [0, *(r.to_iteration for r in mine[:-1])]
        assert mine[-1].to_iteration == stop
        assert all(b.start_s >= a.end_s for a, b in pairwise(mine))
    for worker in workers:
        mine = [record for record in records if record.worker == worker.name]
        assert all(b.start_s >= a.end_s for a, b in pairwise(mine))
    assert simulate(workload, make_policy(policy)) == records


def test_a_policy_that_leaves_trials_waiting_is_an_error() -> None:
    workload = Workload(1, 10, 5, (SimulatedWorker("a", 1.0),))
    with pytest.raises(RuntimeError, match=r"^trials are left but no slice is under way$"):
        simulate(workload, _Never())
