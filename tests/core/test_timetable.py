"""Trials whose hyperparameters are given beforehand."""

from __future__ import annotations

import pytest

from hrfs.core.decisions import StartSlice
from hrfs.core.events import CheckpointLost, SliceDone, TrialAdded, WorkerJoined
from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.timetable import Timetable

TABLE = Timetable(((0, {"lr": 0.1}), (30, {"lr": 0.2}), (70, {"lr": 0.05})))


def test_values_and_room() -> None:
    assert [TABLE.values_at(i)["lr"] for i in (0, 29, 30, 69, 70, 500)] == [
        *(0.1, 0.1, 0.2, 0.2, 0.05, 0.05),
    ]
    assert [TABLE.room(i) for i in (0, 29, 30, 70)] == [30, 1, 40, None]


@pytest.mark.parametrize("starts", [[], [1], [0, 0], [0, 5, 4]])
def test_what_is_no_timetable(starts: list[int]) -> None:
    with pytest.raises(ValueError, match="must begin at 0 and go on"):
        Timetable(tuple((start, {}) for start in starts))


@pytest.mark.parametrize("policy", POLICIES)
def test_no_slice_crosses_a_change_and_each_has_its_values(policy: str) -> None:
    settings = Settings(stop_iterations=100, interval_iterations=20, timetable=TABLE)
    core = Scheduler(settings, make_policy(policy))
    core.handle(WorkerJoined(0.0, "w", "cpu"))
    decisions = core.handle(TrialAdded(0.0, 0, TABLE.values_at(0)))
    time_s, trained = 0.0, dict[int, float]()
    while starts := [d for d in decisions if isinstance(d, StartSlice)]:
        (start,) = starts
        for step in range(start.from_iteration, start.from_iteration + start.iterations):
            trained[step] = start.hyperparameters["lr"]
        time_s += start.iterations
        done = SliceDone(time_s, start.slice, float(start.iterations), 0.5, f"c{start.slice}")
        decisions = core.handle(done)
    assert trained == {step: TABLE.values_at(step)["lr"] for step in range(100)}


def test_a_trial_that_goes_back_gets_the_values_of_then() -> None:
    settings = Settings(stop_iterations=100, interval_iterations=30, timetable=TABLE)
    core = Scheduler(settings, make_policy("greedy"))
    core.handle(WorkerJoined(0.0, "w", "cpu"))
    core.handle(TrialAdded(0.0, 0, TABLE.values_at(0)))
    (start,) = [d for d in core.handle(SliceDone(1.0, 0, 1.0, 0.5, "c0")) if _starts(d)]
    assert (start.from_iteration, start.hyperparameters) == (30, {"lr": 0.2})  # type: ignore[union-attr]
    (start,) = [d for d in core.handle(CheckpointLost(2.0, 1, "damaged")) if _starts(d)]
    assert (start.from_iteration, start.hyperparameters) == (0, {"lr": 0.1})  # type: ignore[union-attr]


def _starts(decision: object) -> bool:
    return isinstance(decision, StartSlice)
