"""The event log carries in what way a slice was lost, and older logs do not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from hrfs.core.decisions import StartSlice
from hrfs.core.events import SliceFailed, TrialAdded, WorkerJoined, WorkerLeft
from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.experiment.event_log import Entry, encode_entry, encode_header, parse_log, settings_of
from hrfs.experiment.event_replay import make_core, rebuild, told_starts
from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import FailureRecord, WorkerInfo

PLAN = Plan(1, 40, 10, {"lr": Hyperparameter(Uniform(0.1, 1.0), Uniform(0.05, 2.0))})


class Failures(Observer):
    def __init__(self) -> None:
        self.records: list[FailureRecord] = []

    def on_failure(self, record: FailureRecord) -> None:
        self.records.append(record)


def replayed(event: SliceFailed | WorkerLeft, **facts: Any) -> tuple[FailureRecord, int]:
    """What a log tells of the loss of the first slice; and the failures of its trial's own."""
    core = make_core(PLAN, "hrfs", None)
    data = encode_header(settings_of(PLAN, "hrfs", None))
    first = PLAN.initial_hyperparameters(0)
    info = asdict(WorkerInfo("w", "cpu", "here", 1.0))
    events: list[Any] = [
        (TrialAdded(0.0, 0, first), {"trial_id": "ab_00000"}),
        (WorkerJoined(0.0, "w", "cpu"), {"worker": info}),
        (event, facts),
    ]
    for one, known in events:
        starts = told_starts([d for d in core.handle(one) if isinstance(d, StartSlice)])
        data += encode_entry(Entry(one, known | ({"starts": starts} if starts else {})), "/root")
    watch = Failures()
    replay = rebuild(parse_log(data, "log", "/root"), "log", PLAN, "hrfs", None, watch)
    (record,) = watch.records
    return record, replay.own_failures.get(0, 0)


FAILED = SliceFailed(1.0, 0, "planted")
LEFT = WorkerLeft(1.0, "w", "planted")


@pytest.mark.parametrize("event", [FAILED, LEFT])
def test_the_kind_and_whose_fault_it_was_are_read_back(event: SliceFailed | WorkerLeft) -> None:
    record, own = replayed(event, kind="out of host memory", own_failure=True)
    assert (record.kind, record.reason, own) == ("out of host memory", "planted", 1)
    record, own = replayed(event, kind="storage")
    assert (record.kind, own) == ("storage", 0)


def test_a_log_from_before_there_were_kinds_is_read() -> None:
    assert replayed(FAILED, own_failure=True)[0].kind == "exception"
    assert replayed(FAILED)[0].kind == "unknown"
    assert replayed(LEFT)[0].kind == "worker lost"


@pytest.mark.parametrize("junk", ["a new kind", 3, None, ["exception"], {}])
def test_a_kind_that_is_not_known_is_unknown(junk: object) -> None:
    assert replayed(FAILED, kind=junk)[0].kind == "unknown"
