"""A core that is told the events of a log is the core that was there when they were written."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from typing import Any

import pytest

from hrfs.core.decisions import Exploit, StartSlice
from hrfs.core.events import (
    CheckpointLost,
    Event,
    SliceDone,
    SliceFailed,
    TrialAdded,
    WorkerJoined,
    WorkerLeft,
)
from hrfs.core.invariants import check
from hrfs.core.search_space import Choice, Hyperparameter, Uniform
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.event_log import Entry, encode_entry, encode_header, parse_log, settings_of
from hrfs.experiment.event_replay import Replay, make_core, rebuild, told_starts
from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import (
    ExploitRecord,
    FailureRecord,
    RollbackRecord,
    SliceRecord,
    WorkerInfo,
)

SHAPES = ((1, 1), (2, 2))
PLAN = Plan(
    8,
    40,
    5,
    {
        "lr": Hyperparameter(Uniform(0.1, 1.0), Uniform(0.05, 2.0)),
        "shape": Hyperparameter(Choice(SHAPES), Choice(SHAPES)),
    },
    seeds=(0, 1),
)


class Driver:
    """Plays a run with faults, and logs it as a driver does."""

    def __init__(self, seed: int, policy: str) -> None:
        self.core = make_core(PLAN, policy, None)
        self.data = encode_header(settings_of(PLAN, policy, None))
        self.random = random.Random(seed)
        self.now_s = 0.0
        self.starts: dict[int, StartSlice] = {}
        self.copies = 0
        for name in ("gpu", "cpu-0", "cpu-1"):
            self.tell(
                WorkerJoined(0.0, name, name[:3]),
                worker=asdict(WorkerInfo(name, name[:3], "here", 1.0)),
            )
        for number in range(PLAN.trials):
            values = PLAN.initial_hyperparameters(number)
            self.tell(TrialAdded(0.0, number, values), trial_id=f"ab_{number:05d}")

    def tell(self, event: Event, **facts: Any) -> None:
        decisions = self.core.handle(event)
        starts = [d for d in decisions if isinstance(d, StartSlice)]
        self.starts |= {start.slice: start for start in starts}
        facts |= {"starts": told_starts(starts)} if starts else {}
        for decision in decisions:
            if isinstance(decision, Exploit):
                facts["copy"] = f"/root/trial_{decision.trial}/checkpoint_exploit_{self.copies}"
                self.copies += 1
        self.data += encode_entry(Entry(event, facts), "/root")

    def step(self) -> None:
        """End one slice, one way or another."""
        self.now_s += self.random.random()
        number = self.random.choice(sorted(self.core.state.running))
        start, dice = self.starts[number], self.random.random()
        if dice < 0.1:
            self.tell(SliceFailed(self.now_s, number, "planted"), own_failure=True)
        elif dice < 0.2 and start.checkpoint is not None:
            self.tell(CheckpointLost(self.now_s, number, "planted"))
        elif dice < 0.25:
            kind = self.core.state.workers[start.worker].kind
            self.tell(WorkerLeft(self.now_s, start.worker, "planted", hung=dice < 0.22))
            info = WorkerInfo(start.worker, kind, "here", 1.0)
            self.tell(WorkerJoined(self.now_s, start.worker, kind), worker=asdict(info))
        else:
            to = start.from_iteration + start.iterations
            score = self.random.random()
            values = start.hyperparameters
            record = SliceRecord(
                number, start.trial, start.worker, self.now_s, self.now_s + 1.0,
                start.from_iteration, to, score=score, hyperparameters=values,
            )  # fmt: skip
            path = f"/root/trial_{start.trial}/checkpoint_{number:06d}"
            self.tell(SliceDone(self.now_s, number, 1.0, score, path, 0.1), record=asdict(record))


class Story(Observer):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.slices: list[SliceRecord] = []
        self.exploits: list[ExploitRecord] = []
        self.failures: list[FailureRecord] = []
        self.rollbacks: list[RollbackRecord] = []
        self.told: list[SliceRecord | RollbackRecord] = []
        self.ended: list[int] = []

    def on_slice(self, record: SliceRecord) -> None:
        self.slices.append(record)
        self.told.append(record)

    def on_exploit(self, record: ExploitRecord) -> None:
        self.exploits.append(record)

    def on_failure(self, record: FailureRecord) -> None:
        self.failures.append(record)

    def on_rollback(self, record: RollbackRecord) -> None:
        self.rollbacks.append(record)
        self.told.append(record)

    def on_trial_end(self, time_s: float, trial: int, reason: str) -> None:
        self.ended.append(trial)


def replayed(driver: Driver, policy: str, story: Story | None = None) -> Replay:
    return rebuild(parse_log(driver.data, "log", "/root"), "log", PLAN, policy, observer=story)


@pytest.mark.parametrize("policy", ["hrfs", "hrfs_paper"])
@pytest.mark.parametrize("seed", range(4))
def test_at_every_moment_the_state_follows_from_the_log(policy: str, seed: int) -> None:
    driver = Driver(seed, policy)
    steps = 0
    while not driver.core.finished:
        driver.step()
        steps += 1
        if steps % 16 == 0 or driver.core.finished:
            replay = replayed(driver, policy)
            check(replay.core)
            one, other = replay.core, driver.core
            assert one.state.trials == other.state.trials
            assert one.state.workers == other.state.workers
            assert one.state.running == other.state.running
            assert list(one.state.free) == list(other.state.free)
            assert list(one.state.waiting) == list(other.state.waiting)
            assert one.state.next_slice == other.state.next_slice
            under_way = [driver.starts[number] for number in sorted(other.state.running)]
            assert replay.under_way() == under_way
    assert driver.copies > 0


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_goes_on_ends_as_the_undisturbed_one(seed: int) -> None:
    whole, policy = Driver(seed, "hrfs"), "hrfs"
    while not whole.core.finished:
        whole.step()
    cut = Driver(seed, "hrfs")
    for _ in range(25):
        cut.step()
    replay = replayed(cut, policy)
    assert replay.core is not cut.core
    cut.core = replay.core
    while not cut.core.finished:
        cut.step()
    assert cut.data == whole.data


def test_the_records_come_with_it() -> None:
    driver = Driver(2, "hrfs")
    while not driver.core.finished:
        driver.step()
    story = Story()
    replay = replayed(driver, "hrfs", story)
    done: dict[int, int] = {}
    for record in story.told:
        assert record.from_iteration == done.get(record.trial, 0)
        went_back = isinstance(record, RollbackRecord)
        done[record.trial] = record.iteration if went_back else record.to_iteration
    assert any(record.lost_iterations for record in story.rollbacks)
    done_twice = sum(record.lost_iterations for record in story.rollbacks)
    assert sum(record.iterations for record in story.slices) == 8 * 40 + done_twice
    assert done == dict.fromkeys(range(8), 40)
    assert sorted(story.ended) == list(range(8))
    own = sum(failure.reason == "planted" for failure in story.failures)
    assert own == len(story.failures) > sum(replay.own_failures.values()) > 0
    assert len(story.exploits) == replay.exploits == driver.copies
    assert all(len(kept) <= 2 for kept in replay.kept.values())
    assert replay.numbers == {f"ab_{n:05d}": n for n in range(8)}
    assert replay.elapsed_s == driver.now_s
    assert replay.size == len(driver.data)
    assert all(t.hyperparameters["shape"] in SHAPES for t in replay.core.state.trials.values())


def test_a_setting_that_was_changed_is_named() -> None:
    driver = Driver(0, "hrfs")
    log = parse_log(driver.data, "log", "/root")
    with pytest.raises(ConfigError, match=r"stop_iterations=80: was 40 when the run began"):
        rebuild(log, "log", replace(PLAN, stop_iterations=80), "hrfs")
    with pytest.raises(ConfigError, match=r"policy=greedy: was hrfs when the run began"):
        rebuild(log, "log", PLAN, "greedy")


def test_a_core_that_decides_otherwise_is_noticed() -> None:
    driver = Driver(0, "hrfs")
    data = driver.data.replace(b'"starts": [[0, 0,', b'"starts": [[0, 1,')
    assert data != driver.data
    with pytest.raises(ConfigError, match=r"line \d+ does not follow .* the core starts"):
        rebuild(parse_log(data, "log", "/root"), "log", PLAN, "hrfs")


def test_an_event_that_cannot_be_true_is_noticed() -> None:
    driver = Driver(0, "hrfs")
    data = driver.data + encode_entry(Entry(SliceFailed(9.0, 99, "planted")), "/root")
    with pytest.raises(ConfigError, match=r"does not follow .* slice 99 is not under way"):
        rebuild(parse_log(data, "log", "/root"), "log", PLAN, "hrfs")
