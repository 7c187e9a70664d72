"""Workers that come, go and fail, and what is kept true meanwhile."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hrfs.core.invariants import check
from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.policy import Choice, Policy, Snapshot, Start
from hrfs.core.state import Worker
from hrfs.experiment.errors import ConfigError
from hrfs.simulator.driver import play
from hrfs.simulator.spec import LearningCurve, LearningRate, SimulatedWorker, Workload

GOLDEN = Path(__file__).parents[1] / "golden"


class _FirstByInterval(Policy):
    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        place = snapshot.waiting.first
        left = snapshot.stop_iterations - place.iteration
        return Start(place.trial, min(left, snapshot.interval_iterations), "first")


def test_a_slice_is_lost_with_its_worker_and_done_elsewhere() -> None:
    workers = (SimulatedWorker("a", 1.0), SimulatedWorker("b", 2.0, leaves_at_s=15.0))
    run = play(Workload(2, 10, 10, workers), _FirstByInterval(), check)
    assert [(r.slice, r.trial, r.worker, r.start_s, r.end_s) for r in run.records] == [
        (0, 0, "a", 0.0, 10.0),
        (2, 1, "a", 15.0, 25.0),
    ]
    (lost,) = run.failures
    assert (lost.time_s, lost.slice, lost.trial, lost.worker) == (15.0, 1, 1, "b")
    assert lost.reason == "its worker left"
    assert run.lost_s == {"b": 15.0}
    assert (run.begin_s, run.end_s, run.makespan_s) == (0.0, 25.0, 25.0)


def test_a_slice_that_ends_as_its_worker_leaves_counts() -> None:
    workers = (SimulatedWorker("a", 1.0, leaves_at_s=10.0), SimulatedWorker("b", 2.0))
    run = play(Workload(2, 10, 10, workers), _FirstByInterval(), check)
    assert [(r.trial, r.worker, r.end_s) for r in run.records] == [(0, "a", 10.0), (1, "b", 20.0)]
    assert run.failures == []


def test_a_worker_that_joins_late_is_served_then() -> None:
    workers = (SimulatedWorker("a", 1.0, joins_at_s=4.0), SimulatedWorker("b", 1.0, joins_at_s=3.0))
    run = play(Workload(2, 10, 10, workers), _FirstByInterval(), check)
    assert [(r.worker, r.start_s) for r in run.records] == [("b", 3.0), ("a", 4.0)]
    assert (run.begin_s, run.makespan_s) == (3.0, 11.0)


def test_what_is_due_after_the_end_does_not_happen() -> None:
    workers = (
        SimulatedWorker("a", 1.0, leaves_at_s=99.0),
        SimulatedWorker("late", 1.0, joins_at_s=50.0),
    )
    run = play(Workload(1, 10, 10, workers), _FirstByInterval(), check)
    assert run.end_s == 10.0


def test_workers_that_have_all_left_are_an_error_of_the_spec() -> None:
    workers = (
        SimulatedWorker("a", 1.0, leaves_at_s=25.0),
        SimulatedWorker("b", 1.0, leaves_at_s=12.5),
    )
    line = (
        r"^workers=2: all had left at 25 s while 1 of 4 trials are unfinished; "
        r"let one stay longer$"
    )
    with pytest.raises(ConfigError, match=line):
        play(Workload(4, 10, 10, workers), _FirstByInterval(), check)


def test_slices_fail_as_often_as_said_and_uniformly_within() -> None:
    worker = SimulatedWorker("a", 1.0, fails_probability=0.25)
    run = play(Workload(100, 30, 1, (worker,), seed=1), _FirstByInterval())
    slices = len(run.records) + len(run.failures)
    assert len(run.failures) / slices == pytest.approx(0.25, abs=0.03)
    assert len(run.records) == 100 * 30
    starts = {0.0, *(r.end_s for r in run.records), *(f.time_s for f in run.failures)}
    ascending = sorted(starts)
    lasted = {end_s: end_s - begin_s for begin_s, end_s in pairwise(ascending)}
    parts = sorted(lasted[failure.time_s] for failure in run.failures)
    assert 0 <= parts[0] < 0.02
    assert 0.98 < parts[-1] < 1
    assert parts[len(parts) // 2] == pytest.approx(0.5, abs=0.05)
    assert run.lost_s["a"] == pytest.approx(sum(parts))
    assert {failure.reason for failure in run.failures} == {"failed, as the spec has it"}


def test_a_failed_slice_leaves_its_worker_free_and_its_trial_as_it_was() -> None:
    workers = (SimulatedWorker("a", 1.0, fails_probability=0.5), SimulatedWorker("b", 50.0))
    run = play(Workload(1, 20, 10, workers, migration_s=1.0, seed=3), _FirstByInterval(), check)
    assert run.failures
    assert sum(r.iterations for r in run.records) == 20
    assert [r.from_iteration for r in run.records] == [0, 10]


def worker_specs(count: int) -> st.SearchStrategy[tuple[SimulatedWorker, ...]]:
    """Workers that come, go, drift and fail; the first is there from start to end."""
    moment = st.floats(0, 60)
    one = st.builds(
        SimulatedWorker,
        name=st.just(""),
        seconds_per_iteration=st.floats(0.1, 5),
        slice_overhead_s=st.sampled_from([0.0, 0.3]),
        kind=st.sampled_from(["cpu", "gpu"]),
        joins_at_s=st.one_of(st.just(0.0), moment),
        leaves_at_s=st.one_of(st.none(), moment.map(lambda s: s + 60.5)),
        fails_probability=st.sampled_from([0.0, 0.2]),
        speed_changes=st.one_of(st.just(()), st.tuples(st.tuples(moment, st.floats(0.5, 3)))),
    )

    def named(found: list[SimulatedWorker]) -> tuple[SimulatedWorker, ...]:
        stays = replace(found[0], joins_at_s=0.0, leaves_at_s=None)
        return tuple(replace(w, name=f"w{i}") for i, w in enumerate([stays, *found[1:]]))

    return st.lists(one, min_size=1, max_size=count).map(named)


CURVE = LearningCurve((20.0, 5.0), 0.1, (0.9, 0.7), 0.01, LearningRate(0.001, 1.0, 0.1))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    workers=worker_specs(5),
    trials=st.integers(1, 6),
    interval=st.integers(1, 10),
    seed=st.integers(0, 2**40),
    noise=st.sampled_from([0.0, 0.3]),
    curve=st.sampled_from([None, CURVE]),
)
@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_whatever_happens_every_iteration_is_done_once(
    policy: str,
    workers: tuple[SimulatedWorker, ...],
    trials: int,
    interval: int,
    seed: int,
    noise: float,
    curve: LearningCurve | None,
) -> None:
    workload = Workload(
        trials, 20, interval, workers, 0.2, seed=seed, noise_sigma=noise, curve=curve
    )
    run = play(workload, make_policy(policy), check)
    assert play(workload, make_policy(policy)) == run
    done = Counter(dict.fromkeys(range(trials), 0))
    lanes = defaultdict(list)
    for record in sorted(run.records, key=lambda r: (r.end_s, r.slice)):
        assert record.from_iteration == done[record.trial]
        done[record.trial] = record.to_iteration
        lanes[record.worker].append(record)
        spec = next(w for w in workers if w.name == record.worker)
        assert record.start_s >= spec.joins_at_s
        assert spec.leaves_at_s is None or record.end_s <= spec.leaves_at_s
        assert (record.score is None) == (curve is None)
    assert set(done.values()) == {20}
    for lane in lanes.values():
        assert all(b.start_s >= a.end_s for a, b in pairwise(lane))
    numbers = [r.slice for r in run.records] + [f.slice for f in run.failures]
    assert sorted(numbers) == list(range(len(numbers)))
    assert run.end_s == max(r.end_s for r in run.records)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_the_core_stays_sound_on_recorded_specs(name: str) -> None:
    workload = Workload.read(GOLDEN / f"{name}.json")
    assert play(workload, make_policy("hrfs_paper"), check).failures == []
