"""A machine that throws random events at the scheduling core: work, faults, and contradictions.

It keeps a book of its own, made from decisions alone, against which every decision is checked.
"""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from hrfs.core import decisions as d
from hrfs.core import events as e
from hrfs.core.invariants import check
from hrfs.core.pbt import PbtSettings
from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.populations import Populations
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.search_space import Choice, Hyperparameter, LogUniform, Uniform

SPACE = {
    "lr": Hyperparameter(LogUniform(0.001, 1.0), Uniform(0.0001, 1.0)),
    "momentum": Hyperparameter(Uniform(0.001, 1.0), Choice((0.8, 0.9, 0.99))),
    "width": Hyperparameter(Choice((8, 16, 32))),
}
MUTABLE = {"lr", "momentum"}
SCORES = st.one_of(
    st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, 0.5, 0.5, 0.9]),
    st.floats(0, 1),
)
DURATIONS = st.one_of(st.sampled_from([1.0, 2.0, 50.0]), st.floats(1e-3, 1e3))
OVERHEADS = (None, 0.1, 0.0, 0.99)
"""Part of the duration of slices that is no training, in turn; None was not measured."""


Kept = tuple[int, str | None, int | None, bool]
"""Iteration, checkpoint, donor of the checkpoint, and whether the trial had diverged."""


@dataclass
class Member:
    """What the decisions so far promise about one trial."""

    hyperparameters: dict[str, Any]
    iteration: int = 0
    checkpoint: str | None = None
    parent: int | None = None
    diverged: bool = False
    removed: bool = False
    place: str = "waiting"
    before: Kept = (0, None, None, False)
    """What it goes back to if its checkpoint is lost."""
    done: int = 0
    """Iterations of all its slices, those that were lost later included."""
    lost: int = 0

    def state(self) -> Kept:
        return self.iteration, self.checkpoint, self.parent, self.diverged


@dataclass
class Book:
    """The machine's own account of the run."""

    members: dict[int, Member] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    running: dict[int, d.StartSlice] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    slices: int = 0
    whole: bool = True
    """False if an event's decisions were refused half-way: the teardown must not hide that."""

    def alive(self) -> list[str]:
        return [name for name, place in self.workers.items() if place != "gone"]

    def free(self, name: str) -> None:
        self.workers[name] = "free"
        self.told.discard(name)


class Core(RuleBasedStateMachine):
    """Random events; see the module."""

    policy = "hrfs"

    @initialize(
        trials=st.integers(1, 8),
        stop=st.integers(1, 40),
        part=st.floats(0, 1),
        quantile=st.sampled_from([0.25, 0.5]),
        mode=st.sampled_from(["max", "min"]),
        goal=st.sampled_from([None, None, 0.8]),
        stop_on_target=st.booleans(),
        saves=st.sampled_from([True, True, False]),
        seed=st.integers(0, 3),
        populations=st.sampled_from([1, 1, 2, 3]),
        size=st.integers(1, 5),
        workers=st.integers(0, 5),
        intervals_apart=st.sampled_from([None, None, 1, 3]),
    )
    def begin(
        self,
        trials: int,
        stop: int,
        part: float,
        quantile: float,
        mode: Any,
        goal: float | None,
        stop_on_target: bool,
        saves: bool,
        seed: int,
        populations: int,
        size: int,
        workers: int,
        intervals_apart: int | None,
    ) -> None:
        interval = max(1, round(part * stop))
        seeds = tuple(range(seed, seed + populations))
        self.populations = Populations(seeds, size if populations > 1 else None)
        self.settings = Settings(
            stop_iterations=stop,
            interval_iterations=interval,
            search_space=SPACE,
            pbt=PbtSettings(quantile=quantile),
            mode=mode,
            target_score=goal,
            stop_on_target=stop_on_target,
            populations=self.populations,
            max_staleness_iterations=intervals_apart and intervals_apart * interval,
        )
        self.scheduler = Scheduler(self.settings, make_policy(self.policy))
        self.book = Book()
        self.story: list[tuple[e.Event, list[d.Decision]]] = []
        self.time_s = 0.0
        self.saves = saves
        self.most = min(10, populations * size) if populations > 1 else 10
        self.at_target: set[int] = set()
        for _ in range(min(trials, self.most)):
            self.add_trial()
        for number in range(workers):
            self.join(f"w{number}")

    # Events

    def send(self, event: e.Event, ended: d.StartSlice | None = None) -> None:
        """Feed one event, and hold the decisions that it brings against the book."""
        self.book.whole = False
        decisions = self.scheduler.handle(event)
        self.story.append((event, decisions))
        for decision in decisions:
            self.judge(decision, event, ended)
        self.book.whole = True

    def now(self) -> float:
        self.time_s += 1.0
        return self.time_s

    def refused(self, event: e.Event, message: str) -> None:
        before = pickle.dumps(self.scheduler)
        with pytest.raises(ValueError, match=message):
            self.scheduler.handle(event)
        assert pickle.dumps(self.scheduler) == before

    @precondition(lambda self: len(self.book.members) < self.most)
    @rule()
    def add_trial(self) -> None:
        """The populations get their trials in turn."""
        rank, population = divmod(len(self.book.members), len(self.populations))
        number = population * (self.populations.size or 0) + rank
        first = {"lr": 0.01 * (number + 1), "momentum": 0.5, "width": 8 * (1 + number % 3)}
        self.book.members[number] = Member(dict(first))
        self.send(e.TrialAdded(self.now(), number, first))

    @precondition(lambda self: len(self.book.workers) < 8)
    @rule()
    def join_new(self) -> None:
        self.join(f"w{len(self.book.workers)}")

    def join(self, name: str) -> None:
        self.book.free(name)
        self.send(e.WorkerJoined(self.now(), name, "cpu"))

    @precondition(lambda self: len(self.book.alive()) < len(self.book.workers))
    @rule(data=st.data())
    def rejoin(self, data: st.DataObject) -> None:
        gone = [name for name, place in self.book.workers.items() if place == "gone"]
        self.join(data.draw(st.sampled_from(gone)))

    @precondition(lambda self: self.book.alive())
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        hung = data.draw(st.booleans())
        self.send_off(data.draw(st.sampled_from(self.book.alive())), hung)

    def send_off(self, name: str, hung: bool = False) -> None:
        for number, start in list(self.book.running.items()):
            if start.worker == name:
                del self.book.running[number]
                self.book.members[start.trial].place = "waiting"
        self.book.workers[name] = "gone"
        self.send(e.WorkerLeft(self.now(), name, "unplugged", hung))

    @precondition(lambda self: self.book.running)
    @rule(data=st.data(), duration_s=DURATIONS, score=SCORES)
    def finish_any(self, data: st.DataObject, duration_s: float, score: float | None) -> None:
        self.finish(data.draw(st.sampled_from(sorted(self.book.running))), duration_s, score)

    # Most events of a real run are slices that end: the first to start is the first to end.
    @precondition(lambda self: self.book.running)
    @rule(duration_s=DURATIONS, score=SCORES)
    def finish_first(self, duration_s: float, score: float | None) -> None:
        self.finish(min(self.book.running), duration_s, score)

    @precondition(lambda self: self.book.running)
    @rule(data=st.data())
    def finish_several(self, data: st.DataObject) -> None:
        for score in data.draw(st.lists(st.floats(0, 1), min_size=2, max_size=12)):
            if self.book.running:
                self.finish(min(self.book.running), 1.0, score)

    def finish(self, number: int, duration_s: float, score: float | None) -> None:
        start = self.book.running.pop(number)
        member = self.book.members[start.trial]
        member.before = member.state()
        member.iteration += start.iterations
        member.done += start.iterations
        member.checkpoint = f"state-{number}" if self.saves else None
        member.parent, member.place = None, "waiting"
        member.diverged = score is not None and not math.isfinite(score)
        if score is not None and math.isfinite(score) and self.settings.target_score is not None:
            sign = 1 if self.settings.mode == "max" else -1
            if sign * score >= sign * self.settings.target_score:
                self.at_target.add(self.populations.of(start.trial))
        self.book.free(start.worker)
        overhead_s = OVERHEADS[number % len(OVERHEADS)]
        part_s = None if overhead_s is None else overhead_s * duration_s
        event = e.SliceDone(self.now(), number, duration_s, score, member.checkpoint, part_s)
        self.send(event, start)

    @precondition(lambda self: self.book.running)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        self.fail_slice(data.draw(st.sampled_from(sorted(self.book.running))))

    @precondition(lambda self: self.book.running)
    @rule()
    def all_fail(self) -> None:
        """The disk is full, say, or all that runs was abandoned; what is started then goes on."""
        for number in sorted(self.book.running):
            self.fail_slice(number)

    @precondition(lambda self: self.book.alive())
    @rule(data=st.data())
    def power_cut(self, data: st.DataObject) -> None:
        """Several workers leave at the same moment, perhaps all, and some of them come back."""
        gone = data.draw(st.lists(st.sampled_from(self.book.alive()), min_size=1, unique=True))
        for name in gone:
            self.send_off(name)
        for name in data.draw(st.lists(st.sampled_from(gone), unique=True)):
            self.join(name)

    @rule(seconds=st.sampled_from([0.0, 3600.0, 1e9]))
    def time_passes(self, seconds: float) -> None:
        self.time_s += seconds
        self.tick()

    def fail_slice(self, number: int) -> None:
        start = self.book.running.pop(number)
        self.book.members[start.trial].place = "waiting"
        self.book.free(start.worker)
        self.send(e.SliceFailed(self.now(), number, "out of memory"))

    @precondition(lambda self: self.book.running and self.saves)
    @rule(data=st.data())
    def lose_checkpoint(self, data: st.DataObject) -> None:
        self.lose(data.draw(st.sampled_from(sorted(self.book.running))))

    @precondition(lambda self: self.book.running and self.saves)
    @rule(data=st.data())
    def lose_both_checkpoints(self, data: st.DataObject) -> None:
        """The older one is damaged too; and perhaps those of others, in a row."""
        for number in data.draw(st.lists(st.sampled_from(sorted(self.book.running)), unique=True)):
            trial = self.book.running[number].trial
            self.lose(number)
            for again, start in list(self.book.running.items()):
                if start.trial == trial:
                    self.lose(again)

    def lose(self, number: int) -> None:
        start = self.book.running[number]
        event = e.CheckpointLost(self.now(), number, "SHA-256 differs")
        if start.checkpoint is None:
            self.refused(event, rf"^slice {number} began from no checkpoint$")
            return
        del self.book.running[number]
        self.book.members[start.trial].place = "waiting"
        self.book.free(start.worker)
        self.send(event, start)

    @rule(data=st.data())
    def remove_trial(self, data: st.DataObject) -> None:
        trial = data.draw(st.sampled_from(sorted(self.book.members)))
        for number, start in list(self.book.running.items()):
            if start.trial == trial:
                del self.book.running[number]
                self.book.free(start.worker)
        if self.book.members[trial].place != "finished":
            self.book.members[trial].place = "waiting"
            self.book.members[trial].removed = True
        self.send(e.TrialRemoved(self.now(), trial, "failed too often"))
        assert self.book.members[trial].place == "finished"

    @rule()
    def tick(self) -> None:
        self.send(e.Tick(self.now()))

    @rule()
    def restart(self) -> None:
        """The driver dies and comes back with what it had saved."""
        self.scheduler = pickle.loads(pickle.dumps(self.scheduler))

    @rule(back=st.integers(1, 5), ahead=st.integers(0, 3))
    def late_result(self, back: int, ahead: int) -> None:
        numbers = {self.book.slices - back, self.book.slices + ahead} - self.book.running.keys()
        for number in numbers:
            message = rf"^slice {number} is not under way$"
            self.refused(e.SliceDone(self.now(), number, 1.0, 0.5, "late"), message)
            self.refused(e.SliceFailed(self.now(), number, "late"), message)
            self.refused(e.CheckpointLost(self.now(), number, "late"), message)

    @precondition(lambda self: self.book.running)
    @rule(duration_s=st.sampled_from([0.0, -1.0, math.nan, math.inf]))
    def impossible_duration(self, duration_s: float) -> None:
        number = min(self.book.running)
        message = r"^duration_s=.* of w\d: must be positive and finite$"
        self.refused(e.SliceDone(self.now(), number, duration_s, 0.5, "odd"), message)

    @precondition(lambda self: self.book.running)
    @rule(overhead_s=st.sampled_from([-1.0, 1.0, 2.0, math.nan, math.inf]))
    def impossible_overhead(self, overhead_s: float) -> None:
        number = min(self.book.running)
        message = r"^overhead_s=.* of w\d: must be at least 0 and less than its slice's 1.0 s$"
        self.refused(e.SliceDone(self.now(), number, 1.0, 0.5, "odd", overhead_s), message)

    @rule()
    def impossible_comings_and_goings(self) -> None:
        for name, place in list(self.book.workers.items())[:2]:
            if place == "gone":
                self.refused(e.WorkerLeft(0.0, name, ""), f"^worker {name} is not there$")
            else:
                self.refused(e.WorkerJoined(0.0, name, ""), f"^worker {name} is there already$")
        self.refused(e.WorkerLeft(0.0, "stranger", ""), r"^worker stranger is not there$")
        self.refused(e.TrialAdded(0.0, 0, {}), r"^trial 0 was added before$")
        self.refused(e.TrialRemoved(0.0, 99, ""), r"^trial 99 is not known$")
        if len(self.populations) > 1:
            end = len(self.populations) * (self.populations.size or 0)
            self.refused(e.TrialAdded(0.0, end, {}), rf"^trial {end}: there are \d times \d$")

    # Decisions

    def judge(self, decision: d.Decision, event: e.Event, ended: d.StartSlice | None) -> None:
        """Check one decision against the book, then enter it."""
        match decision:
            case d.StartSlice():
                self.judge_start(decision)
            case d.Exploit():
                assert ended is not None, "an exploit without a slice that ended"
                self.judge_exploit(decision, ended)
            case d.RollBack():
                assert ended is not None, "went back without a slice that ended"
                assert isinstance(event, e.CheckpointLost)
                self.judge_roll_back(decision, ended)
            case d.FinishTrial():
                member = self.book.members[decision.trial]
                assert member.place == "waiting"
                removed = isinstance(event, e.TrialRemoved) and event.trial == decision.trial
                stopped = self.is_stopped(decision.trial)
                assert removed or stopped or member.iteration == self.settings.stop_iterations
                member.place = "finished"
            case d.RetireWorker():
                assert self.book.workers[decision.worker] == "free"
                self.book.workers[decision.worker] = "retired"
            case d.RecallWorker():
                by_itself = self.policy == "hrfs"  # the others are only called back together
                assert by_itself or not self.book.running, "recalled although something runs"
                assert self.book.workers[decision.worker] == "retired"
                self.book.free(decision.worker)
            case d.Wait():
                assert self.book.workers[decision.worker] == "free"
                assert decision.worker not in self.book.told, "waiting was told twice"
                self.book.told.add(decision.worker)
        if not isinstance(decision, d.Exploit):
            assert decision.reason

    def is_stopped(self, trial: int) -> bool:
        return self.settings.stop_on_target and self.populations.of(trial) in self.at_target

    def judge_start(self, start: d.StartSlice) -> None:
        member = self.book.members[start.trial]
        assert start.slice == self.book.slices
        assert self.book.workers[start.worker] == "free"
        assert member.place == "waiting"
        assert start.from_iteration == member.iteration
        assert 1 <= start.iterations <= self.settings.interval_iterations
        assert start.from_iteration + start.iterations <= self.settings.stop_iterations
        assert dict(start.hyperparameters) == member.hyperparameters
        assert (start.checkpoint, start.parent) == (member.checkpoint, member.parent)
        assert not self.is_stopped(start.trial), "started after the stop"
        staleness = self.settings.max_staleness_iterations
        if self.policy == "hrfs" and staleness is not None:
            ages = [m.iteration for m in self.book.members.values() if m.place != "finished"]
            assert start.from_iteration + start.iterations <= min(ages) + staleness
        self.book.slices += 1
        self.book.running[start.slice] = start
        self.book.workers[start.worker] = "busy"
        member.place = "running"

    def judge_exploit(self, exploit: d.Exploit, ended: d.StartSlice) -> None:
        member, donor = self.book.members[exploit.trial], self.book.members[exploit.donor]
        interval = self.settings.interval_iterations
        assert exploit.trial == ended.trial != exploit.donor
        assert self.populations.of(exploit.trial) == self.populations.of(exploit.donor)
        assert not self.is_stopped(exploit.trial), "exploits after the stop"
        assert member.place == "waiting"
        assert ended.from_iteration // interval < member.iteration // interval
        assert (exploit.iteration, exploit.donor_iteration) == (member.iteration, donor.iteration)
        assert exploit.checkpoint is not None
        assert exploit.checkpoint == donor.checkpoint
        assert donor.parent is not None or not donor.diverged, "took over diverged weights"
        assert not donor.removed, "took over from a trial that was removed"
        assert dict(exploit.before) == member.hyperparameters
        assert exploit.operations.keys() == MUTABLE
        after = dict(exploit.after)
        assert after["width"] == donor.hyperparameters["width"]
        assert 0.0001 <= after["lr"] <= 1
        assert after["momentum"] in (0.8, 0.9, 0.99)
        member.before = member.state()
        member.hyperparameters, member.checkpoint = after, exploit.checkpoint
        member.parent = exploit.donor

    def judge_roll_back(self, back: d.RollBack, ended: d.StartSlice) -> None:
        member = self.book.members[back.trial]
        assert back.trial == ended.trial
        assert member.place == "waiting"
        assert (back.lost, back.donor) == (member.checkpoint, member.parent)
        assert back.from_iteration == member.iteration == ended.from_iteration
        kept = member.before if member.before[1] is not None else (0, None, None, False)
        assert (back.iteration, back.checkpoint) == kept[:2]
        assert back.iteration <= back.from_iteration
        if back.donor is not None and back.checkpoint is not None:
            assert back.iteration == back.from_iteration, "an exploit costs no iterations"
        member.lost += member.iteration - back.iteration
        member.iteration, member.checkpoint, member.parent, member.diverged = kept
        member.before = (0, None, None, False)

    # What holds at all times

    @invariant()
    def core_is_consistent(self) -> None:
        check(self.scheduler)

    @invariant()
    def book_agrees(self) -> None:
        state = self.scheduler.state
        assert state.running.keys() == self.book.running.keys()
        assert state.next_slice == self.book.slices
        assert state.reached == self.at_target
        assert state.target_reached == (len(self.at_target) == len(self.populations))
        assert {w.name: w.phase.value for w in state.workers.values()} == self.book.workers
        for number, member in self.book.members.items():
            trial = state.trials[number]
            assert (trial.phase.value, trial.iteration) == (member.place, member.iteration)
            assert dict(trial.hyperparameters) == member.hyperparameters
            assert (trial.checkpoint, trial.parent) == (member.checkpoint, member.parent)
            assert member.done == member.iteration + member.lost == trial.recorded_iterations
            assert trial.lost_iterations == member.lost
        for start in self.book.running.values():
            # Nobody touches what a running trial was given.
            assert dict(start.hyperparameters) == self.book.members[start.trial].hyperparameters

    def teardown(self) -> None:
        """As long as one worker lives, every trial ends; and the story can be told again."""
        if not hasattr(self, "scheduler") or not self.book.whole:
            return
        alive = self.book.alive()
        for name in alive[1:]:
            self.send_off(name)
        if not alive:
            self.join_new() if len(self.book.workers) < 8 else self.join("w0")
        self.drive_to_the_end()
        self.book_agrees()
        again = Scheduler(self.settings, make_policy(self.policy))
        for event, decisions in self.story:
            assert again.handle(event) == decisions

    def drive_to_the_end(self) -> None:
        # Near the end ``hrfs`` cuts slices down to single iterations.
        least = 1 if self.policy == "hrfs" else max(1, self.settings.interval_iterations // 2)
        slices = sum(
            -((m.iteration - self.settings.stop_iterations) // least)
            for m in self.book.members.values()
            if m.place != "finished"
        )
        for _ in range(slices):
            if self.scheduler.finished:
                break
            self.finish(min(self.book.running), 3.0, 0.1)
            check(self.scheduler)
        assert self.scheduler.finished
        assert all(member.place == "finished" for member in self.book.members.values())


def machine(policy: str) -> type[RuleBasedStateMachine]:
    return type(f"Core_{policy}", (Core,), {"policy": policy})


DISTINCT = {rule: name for name, rule in POLICIES.items()}
"""Name of each rule; two names may mean one."""
