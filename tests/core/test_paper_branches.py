"""Each branch of the paper's rule, by examples small enough to follow by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.decisions import (
    Decision,
    FinishTrial,
    RecallWorker,
    RetireWorker,
    StartSlice,
)
from hrfs.core.events import SliceDone, TrialAdded, WorkerJoined, WorkerLeft
from hrfs.core.paper import PaperPolicy
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import SimulatedWorker, Workload


def _scheduler(
    trials: int, stop: int = 100, interval: int = 50, target_score: float | None = None
) -> Scheduler:
    settings = Settings(stop, interval, target_score=target_score)
    scheduler = Scheduler(settings, PaperPolicy())
    for trial in range(trials):
        scheduler.handle(TrialAdded(0.0, trial, {}))
    return scheduler


def _join(scheduler: Scheduler, *names: str) -> list[Decision]:
    return [
        decision
        for name in names
        for decision in scheduler.handle(WorkerJoined(0.0, name, "simulated"))
    ]


def _starts(decisions: list[Decision]) -> list[tuple[int, str, int, int]]:
    """(trial, worker, from_iteration, iterations) of each slice that starts."""
    return [
        (d.trial, d.worker, d.from_iteration, d.iterations)
        for d in decisions
        if isinstance(d, StartSlice)
    ]


def test_unknown_workers_take_the_last_trial_by_half_an_interval() -> None:
    scheduler = _scheduler(3)
    decisions = _join(scheduler, "a", "b")
    assert _starts(decisions) == [(2, "a", 0, 25), (1, "b", 0, 25)]
    assert all(d.reason.startswith("unknown speed") for d in decisions if isinstance(d, StartSlice))


def test_a_worker_that_could_close_the_gap_takes_the_first_trial_by_a_whole_interval() -> None:
    scheduler = _scheduler(3)
    _join(scheduler, "a", "b")
    decisions = scheduler.handle(SliceDone(1.0, 0, 1.0))  # trial 2 at 25, trial 0 at 0: gap 1
    assert _starts(decisions) == [(0, "a", 0, 50)]
    assert isinstance(decisions[0], StartSlice)
    assert decisions[0].reason == (
        "fast: TCA 1 <= gap 1 slices; takes the trial most behind (25 iterations)"
    )


def test_a_worker_beyond_the_gap_takes_the_leader_by_half_an_interval() -> None:
    scheduler = _scheduler(3)
    _join(scheduler, "a", "b", "c")
    decisions = scheduler.handle(SliceDone(1.0, 0, 1.0))  # only trial 2 waits: gap 0
    assert _starts(decisions) == [(2, "a", 25, 25)]
    decisions = scheduler.handle(SliceDone(1.5, 3, 0.5))  # trial 2 at 50, nothing else waits
    assert _starts(decisions) == [(2, "a", 50, 25)]


def test_a_worker_takes_what_is_left_if_that_is_less_than_half_an_interval() -> None:
    scheduler = _scheduler(3, stop=70)
    _join(scheduler, "a", "b", "c")  # only trial 2 ever waits, so the gap is 0
    assert _starts(scheduler.handle(SliceDone(1.0, 0, 1.0))) == [(2, "a", 25, 25)]
    # 20 are left, below 50 / 2; remaining is floor(20 / 50 * 3) = 1, not below TCA 1.
    assert _starts(scheduler.handle(SliceDone(2.0, 3, 1.0))) == [(2, "a", 50, 20)]
    assert scheduler.handle(SliceDone(3.0, 4, 1.0)) == [FinishTrial(2, "all iterations done")]
    assert not scheduler.finished


def test_a_worker_whose_slice_would_outlast_the_run_retires() -> None:
    scheduler = _retired()
    assert scheduler.state.workers["slow"].phase.value == "retired"


def _retired() -> Scheduler:
    """``fast`` runs trial 0; trials 1 and 2 wait at 25; ``slow`` has just retired."""
    scheduler = _scheduler(3)
    assert _starts(_join(scheduler, "fast", "slow")) == [(2, "fast", 0, 25), (1, "slow", 0, 25)]
    assert _starts(scheduler.handle(SliceDone(1.0, 0, 1.0))) == [(0, "fast", 0, 50)]
    # r = 1000, TCA 1000 + floor(1000 / 1); remaining floor((100 - 25) / 50 * 3) = 4; gap 0.
    assert scheduler.handle(SliceDone(1000.0, 1, 1000.0)) == [
        RetireWorker("slow", "one slice here costs 2000 slices elsewhere and only 4 remain")
    ]
    return scheduler


def test_a_retired_worker_returns_when_it_is_the_last_one() -> None:
    scheduler = _retired()
    decisions = scheduler.handle(WorkerLeft(1001.0, "fast", "unplugged"))
    assert isinstance(decisions[0], RecallWorker)
    assert _starts(decisions) == [(0, "slow", 0, 50)]  # as a fast one: first trial, interval
    # Served as fast until the end, although its TCA is 2000.
    assert _starts(scheduler.handle(SliceDone(3001.0, 3, 2000.0))) == [(2, "slow", 25, 50)]


def test_a_retired_worker_that_leaves_and_rejoins_is_asked_again() -> None:
    scheduler = _retired()
    assert scheduler.handle(WorkerLeft(1001.0, "slow", "unplugged")) == []
    decisions = scheduler.handle(WorkerJoined(1002.0, "slow", "simulated"))
    assert [type(decision) for decision in decisions] == [RetireWorker]  # its TCA is remembered


def test_all_workers_may_retire_and_are_then_recalled_in_the_order_of_the_spec() -> None:
    """N 2, S 11, K 8, seconds per iteration 0.369 and 0.04.

    w1 probes trial 0 (0 to 4 at 0.16 s; TCA 1), takes it on to 8 (gap 0, remaining 1) and
    retires (remaining floor(3 / 8 * 2) = 0). w0 probes trial 1 until 1.476 s: r = 10, TCA 20,
    gap 1: it retires too, while trial 1 waits at 4 and trial 0 at 8. Then both return.
    """
    workers = (SimulatedWorker("w0", 0.369), SimulatedWorker("w1", 0.04))
    records = simulate(Workload(2, 11, 8, workers), PaperPolicy())
    assert [(r.trial, r.worker, r.from_iteration, r.to_iteration) for r in records] == [
        (1, "w0", 0, 4),
        (0, "w1", 0, 4),
        (0, "w1", 4, 8),
        (1, "w0", 4, 11),
        (0, "w1", 8, 11),
    ]
    assert [record.start_s for record in records[3:]] == [1.476, 1.476]
    assert records[3].reason.startswith("every worker had retired, so all are served as fast")


def test_once_the_target_is_reached_unknown_and_slow_workers_get_nothing_more() -> None:
    scheduler = _scheduler(4, target_score=0.8)
    assert _starts(_join(scheduler, "a", "b")) == [(3, "a", 0, 25), (2, "b", 0, 25)]
    # Fast workers go on: trials 0 and 1 lag behind trial 3, gap 2.
    assert _starts(scheduler.handle(SliceDone(1.0, 0, 1.0, score=0.8))) == [(0, "a", 0, 50)]
    assert scheduler.handle(WorkerJoined(1.0, "new", "simulated")) == [
        RetireWorker("new", "unknown speed, and the target is reached")
    ]
    # r = 3, TCA 3 + 3 = 6; gap 1 (trial 1); remaining floor(75 / 50 * 4) = 6: slow, not useless.
    assert scheduler.handle(SliceDone(3.0, 1, 3.0, score=0.1)) == [
        RetireWorker("b", "slow: TCA 6 > gap 1 slices, and the target is reached")
    ]


def test_below_the_target_a_slow_worker_goes_on() -> None:
    scheduler = _scheduler(4, target_score=0.8)
    _join(scheduler, "a", "b")
    scheduler.handle(SliceDone(1.0, 0, 1.0, score=0.79))
    assert _starts(scheduler.handle(WorkerJoined(1.0, "new", "simulated"))) == [(3, "new", 25, 25)]
    assert _starts(scheduler.handle(SliceDone(3.0, 1, 3.0, score=0.1))) == [(2, "b", 25, 25)]


@given(
    trials=st.integers(1, 5),
    stop=st.integers(1, 12),
    seconds=st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
)
def test_an_interval_of_one_trains_one_iteration_at_a_time(
    trials: int, stop: int, seconds: list[float]
) -> None:
    workers = tuple(SimulatedWorker(f"w{i}", s) for i, s in enumerate(seconds))
    records = simulate(Workload(trials, stop, 1, workers), PaperPolicy())
    assert {record.iterations for record in records} == {1}
    assert len(records) == trials * stop
