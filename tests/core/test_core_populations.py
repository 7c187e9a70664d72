"""Several populations over one pool: who is of which, and that they leave each other alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core import decisions as d
from hrfs.core import events as e
from hrfs.core.evolution import Evolution
from hrfs.core.invariants import InvariantError, check
from hrfs.core.paper import PaperPolicy
from hrfs.core.pbt import PbtSettings
from hrfs.core.populations import Populations
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.core.state import Trial

SPACE = {"lr": Hyperparameter(Uniform(0.001, 1.0), Uniform(0.0001, 1.0))}
WHY = "the target was reached"
INTERVAL = 50


# Who is of which


def test_trials_are_numbered_through() -> None:
    three = Populations((7, 3, 5), 4)
    assert [three.of(trial) for trial in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    assert [three.identity(trial) for trial in (0, 3, 4, 11)] == [(7, 0), (7, 3), (3, 0), (5, 3)]
    assert [list(three.members(number)) for number in (0, 2)] == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert len(three) == 3


def test_one_population_may_be_of_any_size() -> None:
    one = Populations((4,))
    assert (one.of(10**6), one.identity(10**6)) == (0, (4, 10**6))
    with pytest.raises(ValueError, match=r"^a population of any size has no known members$"):
        one.members(0)


@pytest.mark.parametrize(
    ("seeds", "size", "message"),
    [
        ((), 1, r"^seeds=\(\): must be unlike numbers of at least 0$"),
        ((0, 1, 0), 1, r"^seeds=\(0, 1, 0\): must be unlike numbers of at least 0$"),
        ((-1,), None, r"^seeds=\(-1,\): must be unlike numbers of at least 0$"),
        ((0, 1), None, r"^2 seeds: the size of the populations must be given$"),
        ((0,), 0, r"^size=0: must be at least 1$"),
    ],
)
def test_what_are_no_populations(seeds: tuple[int, ...], size: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Populations(seeds, size)


@pytest.mark.parametrize("trial", [-1, 6])
def test_a_trial_beyond_the_last_is_of_none(trial: int) -> None:
    two = Populations((0, 1), 3)
    for ask in (two.of, two.identity):
        with pytest.raises(ValueError, match=f"^trial {trial}: there are 2 times 3$"):
            ask(trial)


# Exploit


class Lone:
    """An Evolution and its trials, told of one slice of an interval at a time."""

    def __init__(self, populations: Populations, trials: int) -> None:
        pbt = PbtSettings(quantile=0.5)
        self.evolution = Evolution(
            Settings(1000, INTERVAL, search_space=SPACE, pbt=pbt, populations=populations)
        )
        self.trials = {n: Trial(n, {"lr": 0.01 * (n + 1)}) for n in range(trials)}

    def advance(self, number: int, score: float) -> d.Exploit | None:
        trial = self.trials[number]
        before = trial.iteration
        trial.iteration += INTERVAL
        trial.last_score, trial.parent = score, None
        trial.checkpoint = f"state of {number} at {trial.iteration}"
        if not self.evolution.cross(trial, before):
            return None
        return self.evolution.exploit(trial, self.trials)


SCORES = st.one_of(st.sampled_from([0.0, 0.5, float("nan")]), st.floats(0, 1))
SIZE = 4
STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, SIZE - 1), SCORES), max_size=60)


def _told(exploit: d.Exploit | None, first: int) -> Any:
    """An exploit by member numbers."""
    if exploit is None:
        return None
    return (
        exploit.trial - first, exploit.donor - first, exploit.iteration, exploit.donor_iteration,
        exploit.after, exploit.operations,
    )  # fmt: skip


@given(steps=STEPS)
def test_a_population_beside_others_exploits_as_if_alone(
    steps: Sequence[tuple[int, int, float]],
) -> None:
    """The same donors, and the same values drawn, whatever the others do."""
    seeds = (5, 0, 9)
    shared = Lone(Populations(seeds, SIZE), 3 * SIZE)
    alone = [Lone(Populations((seed,)), SIZE) for seed in seeds]
    for number in range(3 * SIZE):  # the same values at first, by member
        shared.trials[number].hyperparameters = {"lr": 0.01 * (number % SIZE + 1)}
    for population, member, score in steps:
        first = population * SIZE
        beside = shared.advance(first + member, score)
        by_itself = alone[population].advance(member, score)
        assert _told(beside, first) == _told(by_itself, 0)


def test_a_trial_that_is_removed_donates_no_more_and_only_in_its_population() -> None:
    run = Lone(Populations((0, 1), 2), 4)
    for number, score in ((0, 0.9), (2, 0.8)):
        assert run.advance(number, score) is None
    run.evolution.forget(0)
    assert run.advance(1, 0.1) is None, "its only donor is gone"
    taken = run.advance(3, 0.1)
    assert taken is not None
    assert (taken.trial, taken.donor) == (3, 2)


def test_a_diverged_trial_is_rescued_by_its_own_population_alone() -> None:
    run = Lone(Populations((0, 1), 2), 4)
    for number, score in ((0, 0.9), (1, 0.8), (2, 0.2)):
        run.advance(number, score)
    assert run.advance(2, 0.3) is None
    taken = run.advance(0, float("nan"))  # the first at 100; trial 1 was scored at 50
    assert taken is not None
    assert (taken.donor, taken.iteration, taken.donor_iteration) == (1, 100, 50)
    assert run.advance(2, float("nan")) is None, "nobody else of its population was ever scored"


def test_a_parent_of_another_population_breaks_an_invariant() -> None:
    scheduler = _scheduler()
    scheduler.state.trials[0].checkpoint = "another's"
    scheduler.state.trials[0].parent = 2
    with pytest.raises(InvariantError, match=r"took over a trial of another population$"):
        check(scheduler)


# The target


def _scheduler(workers: int = 4, size: int = 2, **settings: Any) -> Scheduler:
    populations = Populations((0, 1), size)
    scheduler = Scheduler(
        Settings(100, INTERVAL, SPACE, populations=populations, **settings), PaperPolicy()
    )
    for trial in range(2 * size):
        scheduler.handle(e.TrialAdded(0.0, trial, {"lr": 0.1}))
    for worker in range(workers):
        scheduler.handle(e.WorkerJoined(0.0, f"w{worker}", "cpu"))
    check(scheduler)
    return scheduler


def _slice_of(scheduler: Scheduler, trial: int) -> int:
    number = scheduler.state.trials[trial].slice
    assert number is not None
    return number


def _done(scheduler: Scheduler, trial: int, score: float) -> list[d.Decision]:
    number = _slice_of(scheduler, trial)
    decisions = scheduler.handle(e.SliceDone(1.0, number, 1.0, score, f"state-{number}"))
    check(scheduler)
    return decisions


def _finished(decisions: list[d.Decision]) -> list[int]:
    ended = [decision for decision in decisions if isinstance(decision, d.FinishTrial)]
    assert {decision.reason for decision in ended} <= {WHY}
    return [decision.trial for decision in ended]


def test_at_its_target_a_population_stops_and_the_others_go_on() -> None:
    scheduler = _scheduler(target_score=0.8, stop_on_target=True)
    decisions = _done(scheduler, 1, 0.85)
    assert _finished(decisions) == [1]
    assert _finished(_done(scheduler, 0, 0.1)) == [0], "was running when its population stopped"
    decisions = _done(scheduler, 2, 0.1)
    assert _finished(decisions) == []
    assert [s.trial for s in decisions if isinstance(s, d.StartSlice)] == [2]
    assert not scheduler.finished
    assert _finished(_done(scheduler, 3, 0.9)) == [3]
    assert _finished(_done(scheduler, 2, 0.1)) == [2]
    assert scheduler.finished


def test_trials_that_wait_stop_with_their_population_alone() -> None:
    scheduler = _scheduler(workers=2, size=3, target_score=0.8, stop_on_target=True)
    [mine, other] = sorted(s.trial for s in scheduler.state.running.values())
    assert (mine, other) == (4, 5)  # the paper's rule takes the last of the waiting list
    decisions = _done(scheduler, 4, 0.8)
    assert _finished(decisions) == [3, 4]
    assert {place.trial for place in scheduler.state.waiting} < {0, 1, 2}


@pytest.mark.parametrize("end", ["fail", "leave"])
def test_a_slice_lost_after_its_populations_stop_is_not_repeated(end: str) -> None:
    scheduler = _scheduler(target_score=0.8, stop_on_target=True)
    _done(scheduler, 1, 0.85)
    number = _slice_of(scheduler, 0)
    worker = scheduler.state.running[number].worker
    failed, left = e.SliceFailed(2.0, number, "oom"), e.WorkerLeft(2.0, worker, "died")
    assert _finished(scheduler.handle(failed if end == "fail" else left)) == [0]
    other = _slice_of(scheduler, 3)
    again = scheduler.handle(e.SliceFailed(3.0, other, "oom"))
    assert [s.trial for s in again if isinstance(s, d.StartSlice)] == [3], "its own goes on"
    check(scheduler)


@pytest.mark.parametrize("stops", [True, False])
def test_the_target_is_reached_once_all_populations_reached_it(stops: bool) -> None:
    scheduler = _scheduler(target_score=0.8, stop_on_target=stops)
    _done(scheduler, 1, 0.85)
    assert not scheduler.state.target_reached
    assert not scheduler.snapshot(1.0).target_reached
    _done(scheduler, 2, 0.85)
    assert scheduler.state.target_reached
    assert scheduler.snapshot(1.0).target_reached


def test_unknown_workers_are_served_until_the_last_population_is_at_its_target() -> None:
    """The paper's rule: then they get nothing more."""
    scheduler = _scheduler(workers=2, size=3, target_score=0.8)
    assert [s.trial for s in scheduler.state.running.values()] == [5, 4]
    _done(scheduler, 5, 0.85)
    [served] = scheduler.handle(e.WorkerJoined(2.0, "early", "cpu"))
    assert isinstance(served, d.StartSlice)
    assert _slice_of(scheduler, served.trial) == served.slice
    first = next(s.trial for s in scheduler.state.running.values() if s.trial < 3)
    _done(scheduler, first, 0.85)
    decisions = scheduler.handle(e.WorkerJoined(3.0, "late", "cpu"))
    assert decisions == [d.RetireWorker("late", "unknown speed, and the target is reached")]
