"""What the policy ``hrfs`` keeps to on any cluster, with joins, leaves, failures and drift."""

from __future__ import annotations

from collections import defaultdict

import pytest
from fusion_play import Bench, workloads
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.core.decisions import StartSlice
from hrfs.core.fusion import FusionPolicy
from hrfs.core.invariants import check
from hrfs.core.scheduler import Scheduler
from hrfs.core.state import TrialPhase, WorkerPhase
from hrfs.simulator.driver import play
from hrfs.simulator.result import Simulation
from hrfs.simulator.spec import Workload

FEW = settings(max_examples=40)


def _unfinished(scheduler: Scheduler) -> list[int]:
    """Iterations of the trials that have not ended."""
    trials = scheduler.state.trials.values()
    return [trial.iteration for trial in trials if trial.phase is not TrialPhase.FINISHED]


def _books_agree(scheduler: Scheduler) -> None:
    """What the policy is shown as sums is what the state holds."""
    check(scheduler)
    state, view = scheduler.state, scheduler.snapshot(0.0)
    ages, running = _unfinished(scheduler), state.running.values()
    assert len(view.backlog) == len(ages)
    assert view.backlog.iterations == sum(ages)
    assert not ages or view.backlog.last_iteration == min(ages)
    assert view.roster.running == len(running)
    assert view.roster.progress_iterations == sum(s.iterations / 2 for s in running)
    for worker in state.workers.values():
        out = worker.phase in (WorkerPhase.RETIRED, WorkerPhase.GONE)
        assert not (out and view.roster.speed(worker.name)), "it counts among those in use"


def _all_is_done_once(run: Simulation, workload: Workload) -> None:
    done: dict[int, int] = defaultdict(int)
    for record in run.records:
        assert record.from_iteration == done[record.trial]
        assert record.reason
        done[record.trial] = record.to_iteration
    assert done == dict.fromkeys(range(workload.trials), workload.stop_iteration)


@FEW
@given(workloads())
def test_all_is_done_and_no_slice_crosses_a_multiple_of_the_interval(workload: Workload) -> None:
    run = play(workload, FusionPolicy(), _books_agree)
    _all_is_done_once(run, workload)
    for record in run.records:
        boundary = (record.from_iteration // workload.interval + 1) * workload.interval
        assert record.to_iteration <= boundary


@FEW
@given(workloads())
def test_the_first_slice_on_a_worker_is_a_short_probe(workload: Workload) -> None:
    """Also on one whose kind is known."""
    first = {}
    for record in sorted(play(workload, FusionPolicy()).records, key=lambda r: r.slice):
        first.setdefault(record.worker, record)
    for record in first.values():
        assert record.iterations <= max(1, 0.02 * workload.interval)


@FEW
@given(workloads(), st.integers(0, 20))
def test_staleness_stays_within_what_is_allowed(workload: Workload, more: int) -> None:
    limit = workload.interval + more

    def bounded(scheduler: Scheduler) -> None:
        """Also when what is under way ends, in whatever order."""
        ages = _unfinished(scheduler)
        ahead = [s.from_iteration + s.iterations for s in scheduler.state.running.values()]
        if ages:
            assert max(scheduler.state.leader, *ahead, 0) - min(ages) <= limit
        check(scheduler)

    run = play(workload, FusionPolicy(), bounded, max_staleness_iterations=limit)
    _all_is_done_once(run, workload)


@pytest.mark.parametrize("limit", [50, 75, 200])
def test_the_limit_of_staleness_binds(limit: int) -> None:
    """Slow workers hold their trials back, and the fast one waits for them."""
    seconds = {"fast": 0.1, "slow": 1.0, "slower": 5.0}

    def spread(bench: Bench) -> int:
        bench.join(*seconds)
        widest = 0
        while not bench.scheduler.finished:
            bench.step()
            ages = _unfinished(bench.scheduler)
            if ages:
                widest = max(widest, bench.scheduler.state.leader - min(ages))
        return widest

    assert spread(Bench(3, 1000, 50, seconds)) > 200
    assert spread(Bench(3, 1000, 50, seconds, max_staleness=limit)) <= limit


def test_a_new_trial_is_waited_for_whatever_the_limit() -> None:
    """It is behind by more than allowed at once; until it has caught up it alone advances."""
    bench = Bench(2, 200, 10, {"a": 1.0, "b": 1.0}, max_staleness=20)
    bench.join("a", "b")
    while bench.scheduler.state.leader < 60:
        bench.step()
    decisions = bench.add(2)
    while _unfinished(bench.scheduler):
        for start in decisions:
            if isinstance(start, StartSlice):
                least = min(_unfinished(bench.scheduler))
                assert start.from_iteration + start.iterations <= least + 20
        decisions = bench.step()


@FEW
@given(
    st.integers(1, 6),
    st.integers(1, 40),
    st.floats(0, 1),
    st.lists(st.sampled_from([0.1, 1.0, 7.0]), min_size=1, max_size=8),
)
def test_small_and_odd_sizes_end(trials: int, stop: int, part: float, seconds: list[float]) -> None:
    """One worker or one trial, more workers than trials, K of 1 and of S among them."""
    names = {f"w{i}": s for i, s in enumerate(seconds)}
    bench = Bench(trials, stop, max(1, round(part * stop)), names)
    bench.join(*names)
    bench.run()
    advanced = sum(start.iterations for start in bench.starts)
    assert advanced == trials * stop
