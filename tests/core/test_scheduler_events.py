"""The state machine: comings and goings, the end of a run, bad policies, and replay."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hrfs.core import decisions as d
from hrfs.core import events as e
from hrfs.core.invariants import InvariantError, check
from hrfs.core.paper import PaperPolicy
from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.policy import Choice, Hold, Policy, Snapshot, Start
from hrfs.core.populations import Populations
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.core.state import TrialPhase, Worker, WorkerPhase

SPACE = {"lr": Hyperparameter(Uniform(0.001, 1.0), Uniform(0.0001, 1.0))}


def _scheduler(trials: int = 3, workers: int = 2, **settings: Any) -> Scheduler:
    scheduler = Scheduler(Settings(100, 50, SPACE, **settings), PaperPolicy())
    for trial in range(trials):
        scheduler.handle(e.TrialAdded(0.0, trial, {"lr": 0.1}))
    for worker in range(workers):
        scheduler.handle(e.WorkerJoined(0.0, f"w{worker}", "cpu"))
    check(scheduler)
    return scheduler


def _kinds(decisions: Sequence[d.Decision]) -> list[type]:
    return [type(decision) for decision in decisions]


# The end


def test_the_run_stops_at_the_target_if_told_to() -> None:
    scheduler = _scheduler(trials=4, target_score=0.8, stop_on_target=True)
    decisions = scheduler.handle(e.SliceDone(1.0, 0, 1.0, 0.85, "a"))
    why = "the target was reached"
    assert decisions == [d.FinishTrial(0, why), d.FinishTrial(1, why), d.FinishTrial(3, why)]
    assert not scheduler.finished  # trial 2 still runs
    assert scheduler.handle(e.SliceDone(2.0, 1, 2.0, 0.1, "b")) == [d.FinishTrial(2, why)]
    assert scheduler.finished


@pytest.mark.parametrize("event", [e.SliceFailed(2.0, 1, "oom"), e.WorkerLeft(2.0, "w1", "died")])
def test_after_the_stop_a_lost_slice_is_not_repeated(event: e.Event) -> None:
    scheduler = _scheduler(trials=4, target_score=0.8, stop_on_target=True)
    scheduler.handle(e.SliceDone(1.0, 0, 1.0, 0.85, "a"))
    assert scheduler.handle(event) == [d.FinishTrial(2, "the target was reached")]
    assert scheduler.finished


def test_after_the_stop_a_new_trial_does_not_start() -> None:
    scheduler = _scheduler(trials=1, workers=1, target_score=0.8, stop_on_target=True)
    scheduler.handle(e.SliceDone(1.0, 0, 1.0, 0.85, "a"))
    decisions = scheduler.handle(e.TrialAdded(2.0, 1, {"lr": 0.1}))
    assert decisions == [d.FinishTrial(1, "the target was reached")]


@pytest.mark.parametrize(
    ("mode", "score", "reached"),
    [("max", 0.8, True), ("max", 0.79, False), ("min", 0.8, True), ("min", 0.81, False)]
    + [(mode, score, False) for mode in ("max", "min") for score in (float("nan"), float("inf"))]
    + [("max", None, False)],
)
def test_when_the_target_is_reached(mode: Any, score: float | None, reached: bool) -> None:
    scheduler = _scheduler(mode=mode, target_score=0.8)
    scheduler.handle(e.SliceDone(1.0, 0, 1.0, score, "a"))
    assert scheduler.state.target_reached is reached
    assert not scheduler.finished


# Comings and goings


def test_a_trial_that_is_removed_while_it_runs_gives_its_worker_back() -> None:
    scheduler = _scheduler()
    decisions = scheduler.handle(e.TrialRemoved(1.0, 2, "failed too often"))
    assert _kinds(decisions) == [d.FinishTrial, d.StartSlice]
    assert decisions[0] == d.FinishTrial(2, "failed too often")
    assert isinstance(decisions[1], d.StartSlice)
    assert (decisions[1].trial, decisions[1].worker) == (0, "w0")
    check(scheduler)
    with pytest.raises(ValueError, match=r"^slice 0 is not under way$"):
        scheduler.handle(e.SliceDone(2.0, 0, 2.0, 0.9, "late"))
    assert scheduler.handle(e.TrialRemoved(3.0, 2, "again")) == []


def test_a_worker_that_leaves_gives_its_trial_back() -> None:
    scheduler = _scheduler()
    assert scheduler.handle(e.WorkerLeft(1.0, "w0", "unplugged")) == []
    check(scheduler)
    assert scheduler.state.trials[2].phase is TrialPhase.WAITING
    assert scheduler.state.workers["w0"].phase is WorkerPhase.GONE
    [start] = scheduler.handle(e.WorkerJoined(2.0, "w0", "cpu"))
    assert isinstance(start, d.StartSlice)
    assert (start.trial, start.from_iteration) == (2, 0)


def test_a_worker_that_rejoins_keeps_its_measure_and_tells_its_kind() -> None:
    scheduler = _scheduler()
    scheduler.handle(e.SliceDone(1.0, 0, 1.0, 0.5, "a"))
    measured = dict(scheduler.snapshot(0.0).tca)
    assert measured == {"w0": 1}
    scheduler.handle(e.WorkerLeft(2.0, "w0", "driver update"))
    scheduler.handle(e.WorkerJoined(3.0, "w0", "gpu:A100"))
    assert dict(scheduler.snapshot(0.0).tca) == measured
    assert scheduler.state.workers["w0"].kind == "gpu:A100"


def test_a_result_without_a_duration_is_refused_and_changes_nothing() -> None:
    scheduler = _scheduler()
    before = pickle.dumps(scheduler)
    with pytest.raises(ValueError, match=r"^duration_s=0\.0 of w0: must be positive and finite$"):
        scheduler.handle(e.SliceDone(1.0, 0, 0.0, 0.5, "a"))
    assert pickle.dumps(scheduler) == before


def test_a_slice_that_fails_is_begun_again_from_where_it_was() -> None:
    scheduler = _scheduler(trials=1, workers=1)
    scheduler.handle(e.SliceDone(1.0, 0, 1.0, 0.5, "a"))
    [start] = scheduler.handle(e.SliceFailed(2.0, 1, "out of memory"))
    assert isinstance(start, d.StartSlice)
    assert (start.slice, start.from_iteration, start.checkpoint) == (2, 25, "a")


# Policies


class _Scripted(Policy):
    """Chooses what it is told to."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice

    def choose(self, snapshot: Snapshot, worker: Worker) -> Choice:
        return self.choice


@pytest.mark.parametrize("iterations", [101, 0, -5])
def test_a_policy_that_asks_for_too_much_is_refused(iterations: int) -> None:
    scheduler = Scheduler(Settings(100, 50), _Scripted(Start(0, iterations, "greedy")))
    scheduler.handle(e.TrialAdded(0.0, 0, {}))
    message = rf"^policy asked for {iterations} of 100 iterations left$"
    with pytest.raises(ValueError, match=message):
        scheduler.handle(e.WorkerJoined(0.0, "w0", "cpu"))


def test_a_policy_that_asks_for_a_running_trial_is_refused() -> None:
    scheduler = Scheduler(Settings(100, 50), _Scripted(Start(0, 50, "again")))
    for trial in range(2):
        scheduler.handle(e.TrialAdded(0.0, trial, {}))
    scheduler.handle(e.WorkerJoined(0.0, "w0", "cpu"))
    with pytest.raises(ValueError, match=r"^policy asked for trial 0, which is running$"):
        scheduler.handle(e.WorkerJoined(0.0, "w1", "cpu"))


def test_waiting_is_told_once_and_asked_again_after_each_event() -> None:
    policy = _Scripted(Hold("not now"))
    scheduler = Scheduler(Settings(100, 50), policy)
    scheduler.handle(e.TrialAdded(0.0, 0, {}))
    assert scheduler.handle(e.WorkerJoined(0.0, "w0", "cpu")) == [d.Wait("w0", "not now")]
    assert scheduler.handle(e.Tick(1.0)) == []
    policy.choice = Start(0, 50, "now")
    assert _kinds(scheduler.handle(e.Tick(2.0))) == [d.StartSlice]
    policy.choice = Hold("not now")
    assert scheduler.handle(e.SliceFailed(3.0, 0, "oom")) == [d.Wait("w0", "not now")]


def test_invariants_see_a_policy_that_starves_the_run() -> None:
    scheduler = Scheduler(Settings(100, 50), _Scripted(Hold("never")))
    scheduler.handle(e.TrialAdded(0.0, 0, {}))
    check(scheduler)  # nobody is there who could work
    scheduler.handle(e.WorkerJoined(0.0, "w0", "cpu"))
    with pytest.raises(InvariantError, match=r"^trials wait, nothing runs"):
        check(scheduler)


def _wrong_states() -> dict[str, tuple[Any, str]]:
    def lose_trial(s: Scheduler) -> None:
        s.state.waiting.remove(1, 0)

    def busy_and_free(s: Scheduler) -> None:
        s.state.free["w0"] = None

    def strange_worker(s: Scheduler) -> None:
        s.state.free["stranger"] = None

    def lose_slice(s: Scheduler) -> None:
        s.state.workers["w1"].slice = None

    def miscount(s: Scheduler) -> None:
        s.state.trials[2].recorded_iterations += 1

    def lead(s: Scheduler) -> None:
        s.state.leader += 1

    def orphan(s: Scheduler) -> None:
        s.state.trials[0].parent = 1

    def renumber(s: Scheduler) -> None:
        s.state.next_slice = 0

    def unknown_trial(s: Scheduler) -> None:
        s.state.waiting.add(99, 0)

    def jump(s: Scheduler) -> None:
        trial = s.state.trials[2]
        trial.iteration = trial.recorded_iterations = 7

    return {
        "lost trial": (lose_trial, r"\(waiting, running\) is \(0, 0\), not \(1, 0\)"),
        "busy and free": (busy_and_free, r"listed as free and is not"),
        "strange worker": (strange_worker, r"not all known"),
        "slice lost": (lose_slice, r"busy without a slice"),
        "miscounted": (miscount, r"iterations differ from the sum"),
        "leader": (lead, r"leader is 26, which no trial has reached"),
        "orphan": (orphan, r"took over a trial without weights"),
        "number": (renumber, r"misnumbered"),
        "unknown trial": (unknown_trial, r"was never added"),
        "jump": (jump, r"from an iteration that is not its trial's"),
    }


@pytest.mark.parametrize("name", _wrong_states())
def test_invariants_see(name: str) -> None:
    scheduler = _scheduler(trials=4)
    scheduler.handle(e.SliceDone(1.0, 0, 1.0, 0.5, "a"))
    assert sorted(s.trial for s in scheduler.state.running.values()) == [0, 2]
    assert [(p.trial, p.iteration) for p in scheduler.state.waiting] == [(1, 0), (3, 25)]
    check(scheduler)
    break_it, message = _wrong_states()[name]
    break_it(scheduler)
    with pytest.raises(InvariantError, match=message):
        check(scheduler)


@pytest.mark.parametrize(("stop", "interval"), [(100, 0), (100, 101), (0, 0), (0, 1)])
def test_an_impossible_interval_is_refused(stop: int, interval: int) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^interval_iterations={interval}: must be at least 1 and at most stop_.*={stop}$",
    ):
        Settings(stop, interval)


# Replay


def _story(policy: str) -> tuple[Settings, list[tuple[e.Event, list[d.Decision]]]]:
    """A run of some hundred events with exploits, failures, and workers that come and go."""
    rng = np.random.default_rng(0)
    settings = Settings(200, 20, SPACE, populations=Populations((3,)))
    scheduler = Scheduler(settings, make_policy(policy))
    story: list[tuple[e.Event, list[d.Decision]]] = []

    def send(event: e.Event) -> None:
        story.append((event, scheduler.handle(event)))
        check(scheduler)

    for trial in range(6):
        send(e.TrialAdded(0.0, trial, {"lr": 0.1}))
    for worker in range(4):
        send(e.WorkerJoined(0.0, f"w{worker}", "cpu"))
    while not scheduler.finished:
        now_s = float(len(story))
        number = int(rng.choice(sorted(scheduler.state.running)))
        worker = scheduler.state.running[number].worker
        fate = rng.random()
        if fate < 0.05:
            send(e.SliceFailed(now_s, number, "oom"))
        elif fate < 0.1:
            send(e.WorkerLeft(now_s, worker, "unplugged"))
            send(e.WorkerJoined(now_s, worker, "cpu"))
        else:
            duration_s = float(1 + 3 * int(worker[1:]))
            send(e.SliceDone(now_s, number, duration_s, float(rng.random()), f"state-{number}"))
    return settings, story


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("pickle_every", [10**9, 1, 7])
def test_the_same_events_give_the_same_decisions(policy: str, pickle_every: int) -> None:
    settings, story = _story(policy)
    assert len(story) > 60
    assert sum(isinstance(one, d.Exploit) for _, decided in story for one in decided) > 3
    scheduler = Scheduler(settings, make_policy(policy))
    for index, (event, decisions) in enumerate(story):
        if index % pickle_every == 0:
            scheduler = pickle.loads(pickle.dumps(scheduler))
        assert scheduler.handle(event) == decisions
    assert scheduler.finished
