"""The policy ``hrfs``, event by event: who is measured, served, sent away and called back."""

from __future__ import annotations

import pickle
import random
import re

import pytest
from fusion_play import Bench

from hrfs.core.decisions import Decision, RecallWorker, RetireWorker, StartSlice, Wait
from hrfs.core.events import SliceDone, Tick, WorkerJoined
from hrfs.core.fusion import FusionPolicy
from hrfs.core.scheduler import Scheduler
from hrfs.core.state import WorkerPhase

FAST_AND_SLOW = {"fast-0": 1.0, "fast-1": 1.0, "fast-2": 1.0, "fast-3": 1.0, "slow": 300.0}


def _retired(bench: Bench) -> set[str]:
    workers = bench.scheduler.state.workers.values()
    return {worker.name for worker in workers if worker.phase is WorkerPhase.RETIRED}


def _until_retired() -> Bench:
    """Six trials on four workers, until the fifth could not do an iteration in time."""
    bench = Bench(6, 1000, 50, FAST_AND_SLOW)
    bench.join(*FAST_AND_SLOW)
    while not _retired(bench):
        bench.step()
    return bench


# Measuring


def test_a_pool_of_which_nothing_is_known_is_measured_by_short_slices() -> None:
    bench = Bench(4, 1000, 100, {"a": 1.0, "b": 5.0})
    decisions = bench.join("a", "b")
    reason = "its speed is unknown, so a short slice measures it"
    assert [(d.worker, d.iterations, d.reason) for d in decisions if isinstance(d, StartSlice)] == [
        ("a", 2, reason),
        ("b", 2, reason),
    ]


def test_trials_are_kept_back_from_being_measured_for_the_workers_that_matter() -> None:
    seconds = {"fast": 0.01} | {f"slow-{i}": 100.0 for i in range(6)}
    bench = Bench(3, 1000, 50, seconds)
    bench.join("fast")
    while not bench.scheduler.state.workers["fast"].slices:
        bench.step()
    bench.join(*(name for name in seconds if name != "fast"))
    told = [decision for _ in range(9) for decision in bench.step()]
    probed = {s.worker for s in bench.starts if s.worker != "fast"}
    assert len(probed) == 2, "the third trial goes on where it is"
    assert {d.worker for d in told if isinstance(d, StartSlice)} == {"fast"}
    assert {d.reason for d in told if isinstance(d, Wait)} == {
        "its speed is unknown, and enough trials are being held by others"
    }


def test_a_newcomer_of_a_known_kind_gets_a_short_first_slice() -> None:
    """One that is 50 times slower than its like costs no more than a newcomer of no kind."""
    bench = Bench(6, 1000, 100, {"a": 1.0, "b": 1.0, "odd": 50.0}, kind="gpu")
    bench.join("a", "b")
    while bench.scheduler.state.leader < 200:
        bench.step()
    bench.join("odd")
    while not (first := [s for s in bench.starts if s.worker == "odd"]):
        bench.step()
    assert first[0].iterations <= 2
    while bench.scheduler.state.workers["odd"].slices == 0:
        bench.step()
    assert 20 < bench.seconds_known("odd") < 100, "measured, not believed to be like the others"


# Serving


def test_free_workers_are_served_the_fastest_first() -> None:
    """Two have left and come back while the only trials ran; then both wait, the slow one first."""
    seconds = {"holder": 100.0, "slow": 3.0, "fast": 1.0}
    bench = Bench(1, 1000, 50, seconds)
    for name in ("slow", "fast"):  # each is measured alone
        bench.join(name)
        bench.step()
        bench.leave(name)
    bench.join("holder")
    bench.join("slow", "fast")
    assert list(bench.scheduler.state.free) == ["slow", "fast"]
    [start] = [d for d in bench.step(fails=True) if isinstance(d, StartSlice)]
    assert start.worker == "fast"


def test_a_worker_of_unknown_speed_is_served_between_the_fast_and_the_slow() -> None:
    seconds = {"holder": 100.0, "slow": 9.0, "fast": 1.0, "new": 1.0}
    bench = Bench(1, 1000, 50, seconds)
    for name in ("slow", "fast"):
        bench.join(name)
        bench.step()
        bench.leave(name)
    bench.join("holder", "slow", "new", "fast")
    free = list(bench.scheduler.state.free)
    order = FusionPolicy().order(bench.scheduler.snapshot(bench.now_s), free)
    assert list(order) == ["fast", "new", "slow"]


def test_a_worker_keeps_its_trial_while_moving_would_bring_nothing() -> None:
    bench = Bench(4, 1000, 50, {f"w{i}": 1.0 for i in range(4)})
    bench.join(*bench.seconds)
    bench.run()
    moves = sum(
        a.worker != b.worker
        for trial in range(4)
        for a, b in zip(
            *[[s for s in bench.starts if s.trial == trial][i:] for i in (0, 1)], strict=False
        )
    )
    assert moves == 0


# Retiring and calling back


def test_a_worker_that_could_only_put_off_the_end_retires_with_a_reason() -> None:
    bench = _until_retired()
    assert _retired(bench) == {"slow"}
    [why] = [d.reason for _, told in bench.told for d in told if isinstance(d, RetireWorker)]
    said = re.fullmatch(r"one iteration here takes 300 s, and only about (\d+) s are left", why)
    assert said is not None
    assert 250 < float(said[1]) < 300
    bench.run()
    assert bench.now_s < 1550  # 6000 iterations at 4 per second


def test_of_more_workers_than_trials_those_that_are_not_needed_retire() -> None:
    seconds = {f"w{i}": 1.0 + i for i in range(8)}
    bench = Bench(4, 1000, 50, seconds)
    bench.join(*seconds)
    bench.run()
    reasons = {d.reason for _, told in bench.told for d in told if isinstance(d, RetireWorker)}
    assert "faster workers can take all 4 trials that are left" in reasons
    assert "w0" not in _retired(bench)


def test_a_retired_worker_comes_back_when_faster_ones_leave() -> None:
    bench = _until_retired()
    assert not any(isinstance(d, RecallWorker) for d in bench.leave("fast-3")), "enough are left"
    decisions = bench.leave("fast-2", "fast-1")
    [recalled] = [d for d in decisions if isinstance(d, RecallWorker)]
    assert recalled.worker == "slow"
    assert re.fullmatch(r"\d trials and about [\d.e+]+ s are left again", recalled.reason)
    bench.leave("fast-0")
    assert not _retired(bench)
    assert bench.starts[-1].worker == "slow"


def test_a_retired_worker_comes_back_for_new_trials() -> None:
    bench = _until_retired()
    decisions = [d for trial in range(6, 12) for d in bench.add(trial)]
    assert any(isinstance(d, RecallWorker) and d.worker == "slow" for d in decisions)


def test_a_retired_worker_stays_away_while_nothing_changes() -> None:
    bench = _until_retired()
    for _ in range(20):
        assert not any(isinstance(d, RecallWorker) for d in bench.step())
    assert not any(isinstance(d, RecallWorker) for d in bench.send(Tick(bench.now_s)))


@pytest.mark.parametrize("workers", [2, 5, 12])
def test_all_ends_though_all_but_the_slowest_leave(workers: int) -> None:
    seconds = {f"w{i:02d}": 2.0**i for i in range(workers)}
    bench = Bench(6, 1000, 50, seconds)
    bench.join(*seconds)
    while bench.scheduler.state.leader < 300:
        bench.step()
    bench.leave(*[name for name in seconds if name != f"w{workers - 1:02d}"])
    bench.run()
    assert {t.iteration for t in bench.scheduler.state.trials.values()} == {1000}


def test_all_ends_though_everyone_leaves_for_a_while() -> None:
    """What a worker that comes back was measured at is still known: no second probe."""
    bench = Bench(3, 400, 50, FAST_AND_SLOW)
    bench.join(*FAST_AND_SLOW)
    while bench.scheduler.state.leader < 100:
        bench.step()
    bench.leave(*FAST_AND_SLOW)
    assert not bench.due
    before = len(bench.starts)
    bench.join("fast-0")
    assert bench.starts[before].iterations > 1
    assert not bench.starts[before].reason.startswith("its speed is unknown")
    bench.run()


# The same again


def _story(seed: int) -> Bench:
    """A run with comings, goings and failures."""
    rng = random.Random(seed)
    seconds = {f"w{i}": 10 ** rng.uniform(-2, 0) for i in range(7)}
    bench = Bench(8, 300, 30, seconds, kind=rng.choice(["", "cpu"]))
    bench.join("w0", "w1", "w2")
    while not bench.scheduler.finished:
        present = [n for n, w in bench.scheduler.state.workers.items() if w.phase.value != "gone"]
        chance = rng.random()
        if chance < 0.02 and len(present) < len(seconds):
            bench.join(rng.choice(sorted(seconds.keys() - set(present))))
        elif chance < 0.03 and len(present) > 1:
            bench.leave(rng.choice(present))
        else:
            bench.step(fails=chance > 0.97)
    return bench


@pytest.mark.parametrize("seed", range(4))
def test_the_same_events_bring_the_same_decisions(seed: int) -> None:
    told = _story(seed).told
    assert _story(seed).told == told
    again = Scheduler(_story(seed).settings, FusionPolicy())
    assert [again.handle(event) for event, _ in told] == [decisions for _, decisions in told]


@pytest.mark.parametrize("seed", range(4))
def test_a_core_that_was_pickled_in_the_middle_goes_on_the_same(seed: int) -> None:
    bench = _story(seed)
    core = Scheduler(bench.settings, FusionPolicy())
    for number, (event, decisions) in enumerate(bench.told):
        if number % 25 == 0:
            core = pickle.loads(pickle.dumps(core))
        assert core.handle(event) == decisions


def test_reasons_read_as_sentences() -> None:
    """Of every kind of decision there is one here, and none is a code word."""
    reasons = {
        type(decision): decision.reason
        for seed in range(4)
        for _, decisions in _story(seed).told
        for decision in decisions
        if isinstance(decision, StartSlice | RetireWorker | RecallWorker | Wait)
    }
    kinds: set[type[Decision]] = {StartSlice, Wait}
    assert kinds <= reasons.keys()
    assert all(len(reason.split()) >= 5 for reason in reasons.values())


def test_an_event_that_is_refused_for_its_overhead_changes_nothing() -> None:
    bench = Bench(2, 100, 10, {"a": 1.0})
    bench.join("a")
    before = pickle.dumps(bench.scheduler)
    with pytest.raises(ValueError, match=r"^overhead_s=2.0 of a: must be at least 0 and less than"):
        bench.scheduler.handle(SliceDone(1.0, 0, 1.0, 0.5, "state", overhead_s=2.0))
    assert pickle.dumps(bench.scheduler) == before


def test_a_worker_a_thousand_million_times_faster_leaves_no_trace() -> None:
    """Sums of squared speeds lose the slow ones beside it; they must be found again."""
    bench = Bench(3, 100, 10, {"slow": 1e3, "fast": 1e-6, "new": 1.0})
    bench.join("slow")
    bench.step()
    bench.join("fast")
    while not bench.scheduler.state.workers["fast"].slices:
        bench.step()
    bench.leave("fast")
    assert any(isinstance(d, StartSlice) for d in bench.join("new"))
    bench.run()


def test_a_worker_may_join_before_there_is_anything_to_do() -> None:
    bench = Bench(0, 10, 5, {"a": 1.0})
    assert bench.send(WorkerJoined(0.0, "a", "")) == []
    assert any(isinstance(d, StartSlice) for d in bench.add(0))
    bench.run()
