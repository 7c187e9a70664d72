"""A worker that hung is nobody's evidence: neither for itself nor for its kind."""

from __future__ import annotations

import pickle

import pytest

from hrfs.core import events as e
from hrfs.core.decisions import StartSlice
from hrfs.core.estimator import SpeedEstimator
from hrfs.core.invariants import check
from hrfs.core.policies import make_policy
from hrfs.core.scheduler import Scheduler, Settings


def observed(*slices: tuple[str, float]) -> SpeedEstimator:
    """Slices of ten iterations: worker and seconds per iteration. The kind is the first letter."""
    estimator = SpeedEstimator()
    for worker, seconds in slices:
        estimator.join(worker, worker[0])
        estimator.observe(worker, 0, 10, 10 * seconds, 0.0, moved=False)
    return estimator


def expected_s(estimator: SpeedEstimator, worker: str) -> float | None:
    estimate = estimator.estimate(worker)
    return estimate and estimate.seconds_per_iteration


def test_a_forgotten_worker_is_expected_to_be_like_the_others_of_its_kind() -> None:
    both = observed(("a1", 1.0), ("a2", 4.0))
    both.estimate("a1")
    both.forget("a2")
    alone = observed(("a1", 1.0))
    alone.join("a2", "a")
    assert expected_s(both, "a2") == pytest.approx(expected_s(alone, "a2"))
    estimate = both.estimate("a2")
    assert estimate is not None
    assert estimate.slices == 0


def test_what_was_not_yet_asked_for_is_forgotten_as_well() -> None:
    estimator = observed(("a1", 1.0))
    estimator.forget("a1")
    estimator.join("a2", "a")
    assert estimator.estimate("a1") is None
    assert estimator.estimate("a2") is None


def test_the_only_worker_of_a_kind_leaves_no_rounding_behind() -> None:
    estimator = observed(("a1", 0.1), ("b1", 3.0))
    estimator.estimate("a1")
    estimator.forget("a1")
    assert estimator.estimate("a1") is None
    estimator.observe("a1", 0, 10, 20.0, 0.0, moved=False)
    assert expected_s(estimator, "a1") == pytest.approx(2.0)


@pytest.mark.parametrize("policy", ["hrfs", "hrfs_paper", "greedy", "static", "fastest_only"])
@pytest.mark.parametrize("hung", [False, True])
def test_only_a_worker_that_hung_is_measured_anew(policy: str, hung: bool) -> None:
    scheduler = Scheduler(Settings(100, 50), make_policy(policy))
    for trial in range(4):
        scheduler.handle(e.TrialAdded(0.0, trial, {}))
    (first,) = scheduler.handle(e.WorkerJoined(0.0, "w", "gpu"))
    assert isinstance(first, StartSlice)
    scheduler.handle(e.SliceDone(1.0, 0, 1.0, 0.5, "a"))
    scheduler.handle(e.WorkerLeft(9.0, "w", "gone", hung=hung))
    scheduler = pickle.loads(pickle.dumps(scheduler))
    again = scheduler.handle(e.WorkerJoined(19.0, "w", "gpu"))
    check(scheduler)
    worker, snapshot = scheduler.state.workers["w"], scheduler.snapshot(19.0)
    assert (worker.slices, worker.first_s_per_iteration is None) == (
        (0, True) if hung else (1, False)
    )
    assert (snapshot.speeds.estimate("w") is None) == hung
    assert dict(snapshot.tca) == ({} if hung else {"w": 1})
    (start,) = (d for d in again if isinstance(d, StartSlice))
    if hung:
        assert start.iterations == first.iterations, "as little as the first time"
    scheduler.handle(e.SliceDone(40.0, start.slice, 20.0, 0.5, "b"))
    check(scheduler)
