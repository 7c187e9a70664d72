"""What people do without fusion: static assignment, and the fastest devices only."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.core.baselines import FastestOnlyPolicy, GreedyPolicy, RayPbtPolicy, StaticPolicy
from hrfs.core.decisions import Decision, RecallWorker, RetireWorker, StartSlice, Wait
from hrfs.core.events import SliceDone, SliceFailed, TrialAdded, WorkerJoined, WorkerLeft
from hrfs.core.paper import PaperPolicy
from hrfs.core.policy import Choice, Policy, Snapshot
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.state import Worker
from hrfs.core.subset import estimated_finish_s, fastest_subset, greedy_finish_s
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import SimulatedWorker, Workload

GOLDEN = Path(__file__).parents[1] / "golden"
SECONDS = st.lists(st.integers(1, 9).map(float), min_size=1, max_size=5)


def _workload(trials: int, stop: int, interval: int, seconds: list[float]) -> Workload:
    workers = tuple(SimulatedWorker(f"w{i}", s) for i, s in enumerate(seconds))
    return Workload(trials, stop, interval, workers)


def _makespan_s(workload: Workload, policy: Policy) -> float:
    return max(record.end_s for record in simulate(workload, policy))


# Static


@given(st.integers(1, 6), st.integers(1, 30), st.integers(1, 30), SECONDS)
def test_static_keeps_each_trial_where_it_started(
    trials: int, stop: int, interval: int, seconds: list[float]
) -> None:
    workload = _workload(trials, stop, min(stop, interval), seconds)
    workers_of = defaultdict(set)
    ends_of = defaultdict(list)
    for record in simulate(workload, StaticPolicy()):
        workers_of[record.trial].add(record.worker)
        ends_of[record.worker].append((record.start_s, record.trial))
    assert all(len(workers) == 1 for workers in workers_of.values())
    for slices in ends_of.values():  # one trial after the other, none taken up twice
        order = [trial for _, trial in sorted(slices)]
        changes = sum(a != b for a, b in pairwise(order))
        assert changes == len(set(order)) - 1


def test_static_moves_a_trial_only_when_its_worker_has_left() -> None:
    scheduler = Scheduler(Settings(100, 50), StaticPolicy())
    for trial in range(2):
        scheduler.handle(TrialAdded(0.0, trial, {}))
    scheduler.handle(WorkerJoined(0.0, "a", "cpu"))
    scheduler.handle(WorkerJoined(0.0, "b", "cpu"))
    scheduler.handle(SliceDone(1.0, 0, 1.0))  # trial 0 is a's, and goes on there as slice 2
    scheduler.handle(SliceDone(2.0, 1, 2.0))  # trial 1 is b's, and goes on there as slice 3
    assert scheduler.handle(WorkerLeft(3.0, "b", "unplugged")) == []  # a is busy
    [_finish, start] = scheduler.handle(SliceDone(4.0, 2, 1.0))
    assert isinstance(start, StartSlice)
    assert (start.trial, start.worker, start.from_iteration) == (1, "a", 50)
    assert start.reason == "a trial without a worker"


def test_static_waits_while_a_trial_belongs_to_another_worker() -> None:
    scheduler = Scheduler(Settings(100, 50), StaticPolicy())
    scheduler.handle(TrialAdded(0.0, 0, {}))
    scheduler.handle(WorkerJoined(0.0, "a", "cpu"))
    scheduler.handle(SliceDone(1.0, 0, 1.0))
    scheduler.handle(TrialAdded(1.0, 1, {}))
    scheduler.handle(WorkerJoined(1.0, "b", "cpu"))  # takes trial 1 as slice 2
    scheduler.handle(SliceDone(2.0, 2, 1.0))  # goes on as slice 3
    scheduler.handle(TrialAdded(2.0, 2, {}))
    scheduler.handle(SliceDone(3.0, 1, 2.0))  # trial 0 is done; a takes trial 2 as slice 4
    scheduler.handle(SliceDone(4.0, 4, 1.0))  # a goes on with trial 2 as slice 5
    scheduler.handle(SliceDone(4.0, 3, 1.0))  # trial 1 is done; b is free, nothing waits
    decisions = scheduler.handle(SliceFailed(5.0, 5, "out of memory"))
    assert [type(decision) for decision in decisions] == [Wait, StartSlice]
    assert decisions[0] == Wait("b", "every trial that waits belongs to another worker")


# The fastest only


def test_on_twenty_slow_cpus_the_gpu_alone_beats_the_papers_rule() -> None:
    workload = Workload.read(GOLDEN / "one_gpu_twenty_slow_cpus.json")
    records = simulate(workload, FastestOnlyPolicy())
    assert max(r.end_s for r in records) < 0.5 * _makespan_s(workload, PaperPolicy())
    slow = [record.worker for record in records if record.worker != "w00"]
    assert sorted(slow) == [f"w{i:02d}" for i in range(1, 21)]  # once each: its probe
    assert {r.iterations for r in records if r.worker != "w00"} == {workload.interval // 2}


@pytest.mark.parametrize("trials", [2, 3, 8])
def test_a_worker_that_would_only_delay_the_end_is_only_measured(trials: int) -> None:
    records = simulate(_workload(trials, 100, 50, [1.0, 1.0, 30.0]), FastestOnlyPolicy())
    assert [r.iterations for r in records if r.worker == "w2"] == [25]
    reasons = {r.reason for r in records if r.worker != "w2"}
    assert "one of the fastest; takes the least advanced trial" in reasons


def test_the_best_number_of_workers_is_used() -> None:
    """All four are equal and each has a trial, so all are used, without a gap."""
    records = simulate(_workload(4, 1000, 100, [1.0] * 4), FastestOnlyPolicy())
    assert {r.worker for r in records} == {"w0", "w1", "w2", "w3"}
    assert max(r.end_s for r in records) == 1000


class _Forgetful(Policy):
    """Asks a new policy every time, and holds the old one's choice against it."""

    def __init__(self) -> None:
        self._policy = FastestOnlyPolicy()
        self.choices = 0

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        choice = self._policy.choose(snapshot, worker)
        assert choice == FastestOnlyPolicy().choose(snapshot, worker)
        self.choices += 1
        return choice

    def order(self, snapshot: Snapshot, free: Sequence[str]) -> Sequence[str]:
        order = self._policy.order(snapshot, free)
        assert order == FastestOnlyPolicy().order(snapshot, free)
        return order


@given(st.integers(1, 5), st.integers(1, 20), st.integers(1, 20), SECONDS)
@settings(max_examples=40)
def test_the_same_snapshot_gives_the_same_choice_whatever_was_asked_before(
    trials: int, stop: int, interval: int, seconds: list[float]
) -> None:
    policy = _Forgetful()
    simulate(_workload(trials, stop, min(stop, interval), seconds), policy)
    assert policy.choices >= trials


def test_trials_that_are_added_later_are_reckoned_with() -> None:
    """0.2 and 1 s per iteration: for two trials the fast one alone is best, for 12 both."""
    scheduler = Scheduler(Settings(100, 10), _Forgetful())
    for trial in range(2):
        scheduler.handle(TrialAdded(0.0, trial, {}))
    scheduler.handle(WorkerJoined(0.0, "slow", "cpu"))
    scheduler.handle(WorkerJoined(0.0, "fast", "cpu"))
    scheduler.handle(SliceDone(5.0, 0, 5.0))  # slow, so far the fastest, goes on as slice 2
    scheduler.handle(SliceDone(5.5, 1, 1.0))  # now both are measured: fast is chosen
    for trial in range(2, 12):
        scheduler.handle(TrialAdded(6.0, trial, {}))
    [start] = scheduler.handle(SliceDone(15.0, 2, 10.0))
    assert isinstance(start, StartSlice)
    assert start.worker == "slow"


# The finish that it expects


@given(st.integers(1, 7), st.integers(1, 40), st.integers(1, 40), SECONDS)
def test_expected_finish_is_what_the_simulator_gives(
    trials: int, stop: int, interval: int, seconds: list[float]
) -> None:
    interval = min(stop, interval)
    makespan_s = _makespan_s(_workload(trials, stop, interval, seconds), GreedyPolicy())
    assert greedy_finish_s(seconds, trials, stop, interval) == makespan_s


def _finish_by_the_clock(seconds: list[int], trials: int, stop: int, interval: int) -> int:
    """The same second by second, without a heap or an event queue."""
    done = [0] * trials
    waiting = list(range(trials))  # in the order of arrival
    idle = list(range(len(seconds)))  # in the order in which they became free
    slices: list[list[int]] = []  # [seconds left, worker, trial], in the order of start
    clock_s = 0
    while True:
        ended = next((one for one in slices if one[0] == 0), None)
        if ended is not None:  # one at a time, the one that began first
            slices.remove(ended)
            _, worker, trial = ended
            done[trial] = min(done[trial] + interval, stop)
            idle.append(worker)
            if done[trial] < stop:
                waiting.append(trial)
        while waiting and idle:
            trial = min(waiting, key=done.__getitem__)
            waiting.remove(trial)
            worker = idle.pop(0)
            slices.append([min(interval, stop - done[trial]) * seconds[worker], worker, trial])
        if not slices:
            return clock_s
        if all(one[0] > 0 for one in slices):
            clock_s += 1
            for one in slices:
                one[0] -= 1


@pytest.mark.parametrize(
    ("seconds", "trials", "stop", "interval"),
    [
        ([2], 3, 7, 3),
        ([1, 3], 2, 5, 2),
        ([1, 2, 7], 4, 10, 3),
        ([3, 5], 1, 4, 4),
        ([2, 3, 5, 7], 3, 6, 1),
        ([1, 11], 5, 9, 4),
    ],
)
def test_expected_finish_is_what_a_clock_gives(
    seconds: list[int], trials: int, stop: int, interval: int
) -> None:
    expected = _finish_by_the_clock(seconds, trials, stop, interval)
    assert greedy_finish_s([float(s) for s in seconds], trials, stop, interval) == expected


def test_expected_finish_of_a_tiny_case_by_hand() -> None:
    # Seconds 1 and 3, 3 trials of 2 iterations in slices of 1:
    # fast: t0 0-1, t2 1-2, t0 2-3 (tie with t2, t0 came first), slow: t1 0-3.
    # At 3: t0 done; fast is free after slow (slice 1 began before slice 3).
    # slow takes t2's second iteration 3-6, fast t1's 3-4.
    assert greedy_finish_s([1.0, 3.0], 3, 2, 1) == 6


# How many workers are best


def test_small_runs_are_played_through_for_every_number_of_workers() -> None:
    rng = random.Random(5)
    for _ in range(20):
        seconds = sorted(math.exp(rng.uniform(0, 4)) for _ in range(rng.randint(1, 12)))
        trials, run = rng.randint(1, 12), (rng.randint(20, 200), 20)
        sizes = range(1, min(trials, len(seconds)) + 1)
        finish_s = [greedy_finish_s(seconds[:size], trials, *run) for size in sizes]
        best = 1 + finish_s.index(min(finish_s))
        assert fastest_subset(seconds, trials, *run) == best


@pytest.mark.parametrize(
    ("trials", "workers", "stop", "within"),
    [
        (12, 16, 20_000, 1.01),  # longer slices are played in place of many
        (100, 60, 400, 1.05),  # some numbers of workers are tried
        (2000, 12, 400, 1.05),  # the estimate alone decides
    ],
)
def test_larger_runs_lose_little_by_not_being_played_through(
    trials: int, workers: int, stop: int, within: float
) -> None:
    rng = random.Random(trials)
    seconds = sorted(math.exp(rng.uniform(0, 4)) for _ in range(workers))
    finish_s = {
        size: greedy_finish_s(seconds[:size], trials, stop, 50)
        for size in {
            *range(1, min(trials, workers) + 1, 3),
            fastest_subset(seconds, trials, stop, 50),
        }
    }
    chosen_s = finish_s[fastest_subset(seconds, trials, stop, 50)]
    assert chosen_s <= within * min(finish_s.values())


def test_the_estimate_of_a_tiny_case_by_hand() -> None:
    """Ten trials of 100 by 50; 1 and 4 s per iteration: speeds 1 and 1.25 in all.

    One worker: 1000 + 50. Two: 800 of work, a slice of 200 s, in which the others do half a
    round of 400: no lag.
    """
    assert estimated_finish_s([1.0, 4.0], 10, 100, 50).tolist() == [1050.0, 1000.0]
    # One trial alone with two workers: work 80, a round 40; the slow slice is 200 long, 4 rounds
    # behind but never more than the one that there is beside it, of 50 * 2 / 1.25.
    assert estimated_finish_s([1.0, 4.0], 1, 100, 50).tolist() == [150.0, 80.0 + 200 + 80]


# Greedy, and Ray's placement


def test_greedy_spares_nobody() -> None:
    records = simulate(_workload(3, 100, 50, [1.0, 100.0]), GreedyPolicy())
    assert max(r.end_s for r in records) >= 50 * 100
    assert {r.iterations for r in records} == {50}
    assert {r.reason for r in records} == {"the least advanced trial"}


def _ray_scheduler(kind: str, trials: int = 3) -> Scheduler:
    scheduler = Scheduler(Settings(100, 50), RayPbtPolicy(kind))
    for trial in range(trials):
        scheduler.handle(TrialAdded(0.0, trial, {}))
    return scheduler


def test_ray_uses_workers_of_one_kind_even_if_another_joins_first() -> None:
    scheduler = _ray_scheduler("cpu")
    [wait] = scheduler.handle(WorkerJoined(0.0, "g", "gpu:H100"))
    assert wait == Wait("g", "no cpu worker, as every trial asks for, has joined yet")
    decisions = scheduler.handle(WorkerJoined(0.0, "c", "cpu"))
    assert decisions[0] == RetireWorker("g", "every trial asks for a cpu worker")
    assert isinstance(decisions[1], StartSlice)
    assert (decisions[1].worker, decisions[1].trial, decisions[1].iterations) == ("c", 0, 50)


def test_under_ray_a_trial_pauses_only_for_one_that_waits() -> None:
    scheduler = _ray_scheduler("cpu", trials=3)
    for name in ("a", "b"):
        scheduler.handle(WorkerJoined(0.0, name, "cpu"))
    trials = [_started(scheduler.handle(SliceDone(1.0, 0, 1.0)))]  # 0 pauses, 2 has never run
    trials.append(_started(scheduler.handle(SliceDone(2.0, 1, 2.0))))  # 1 pauses behind 0
    assert trials == [2, 0]
    assert _started(scheduler.handle(SliceDone(3.0, 3, 1.0))) == 1  # 0 is done
    assert _started(scheduler.handle(SliceDone(3.0, 2, 2.0))) == 2  # nobody waits: it goes on


def _started(decisions: list[Decision]) -> int:
    [start] = [decision for decision in decisions if isinstance(decision, StartSlice)]
    return start.trial


def test_when_the_requested_workers_are_gone_the_others_take_over() -> None:
    scheduler = _ray_scheduler("gpu", trials=1)
    scheduler.handle(WorkerJoined(0.0, "g", "gpu"))
    assert scheduler.handle(WorkerJoined(0.0, "c", "cpu")) == []  # nothing waits
    decisions = scheduler.handle(WorkerLeft(1.0, "g", "unplugged"))
    assert [type(decision) for decision in decisions] == [RetireWorker, RecallWorker, StartSlice]
    assert isinstance(decisions[2], StartSlice)
    assert decisions[2].reason == "every gpu worker is gone: the request would be changed by hand"
