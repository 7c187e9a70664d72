"""``python -m benchmarks.foresight``: what it counts."""

from __future__ import annotations

from benchmarks import foresight
from benchmarks.foresight import Count, Watch
from hrfs.core.policies import make_policy
from hrfs.simulator.driver import play
from hrfs.simulator.spec import SimulatedWorker, Workload


def counted(workload: Workload) -> tuple[Count, int]:
    policy, count = make_policy("hrfs"), Count()
    return count, len(play(workload, policy, Watch(policy, count)).records)


def test_every_slice_but_the_first_of_each_worker_is_judged() -> None:
    workload = foresight.design(3)
    count, slices = counted(workload)
    judged = count.stays + count.moves
    assert slices - len(workload.workers) <= judged < slices
    assert 0 < count.right <= min(count.guessed, count.moves)


def test_a_worker_alone_moves_and_what_it_takes_next_is_known() -> None:
    """It takes whole intervals of its three trials by turns, and nobody interferes."""
    count, slices = counted(Workload(trials=3, stop_iteration=40, interval=10, workers=(ALONE,)))
    assert count.stays + count.moves == slices - 1
    assert count.moves >= 9
    assert count.right == count.moves


def test_with_one_trial_nothing_is_guessed() -> None:
    count, slices = counted(Workload(trials=1, stop_iteration=40, interval=10, workers=(ALONE,)))
    assert count == Count(stays=slices - 1)


ALONE = SimulatedWorker("w", 1.0)
