"""What the scheduler learns stays in step with what happened, and with what was refused."""

from __future__ import annotations

import math
import pickle

import pytest

from hrfs.core.events import SliceDone, TrialAdded, WorkerJoined
from hrfs.core.knowledge import Knowledge
from hrfs.core.policies import make_policy
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.state import RunningSlice, Worker

SETTINGS = Settings(stop_iterations=100, interval_iterations=10)


def _joined(*workers: Worker) -> Knowledge:
    known = Knowledge(SETTINGS)
    known.trial_added(0)
    for worker in workers:
        known.worker_joined(worker)
    return known


def _measure(known: Knowledge, worker: Worker, duration_s: float) -> None:
    begun = RunningSlice(0, 0, worker.name, 0, 10, 0.0)
    known.slice_began(begun, moved=False)
    known.slice_measured(begun, SliceDone(duration_s, 0, duration_s), worker, moved=False)
    known.slice_ended(0)


def test_one_slice_tells_the_speed_of_all_of_a_kind() -> None:
    one, like, other, alone = (
        Worker(name, kind) for name, kind in zip("abcd", ["cpu", "cpu", "gpu", ""], strict=True)
    )
    known = _joined(one, like, other, alone)
    _measure(known, one, 5.0)
    roster = known.roster
    assert roster.speed("a") == roster.speed("b") == pytest.approx(2.0, rel=0.05)
    assert [roster.unknown_of(kind) for kind in ("cpu", "gpu", "")] == [[], ["c"], ["d"]]
    assert known.tca == {"a": 1}


def test_workers_without_a_kind_tell_nothing_of_one_another() -> None:
    one, other = Worker("a", ""), Worker("b", "")
    known = _joined(one, other)
    _measure(known, one, 5.0)
    assert known.roster.speed("b") is None
    assert known.roster.unknown_of("") == ["b"]


def test_a_worker_retired_before_it_was_measured_does_not_count_until_it_is_recalled() -> None:
    one, idle = Worker("a", "cpu"), Worker("b", "cpu")
    known = _joined(one, idle)
    known.worker_retired("b")
    assert (known.roster.unmeasured, known.roster.fastest_retired) == (1, "b")
    _measure(known, one, 5.0)
    assert len(known.roster) == 1, "its like was measured, but it gets no work"
    known.worker_recalled(idle)
    assert known.roster.speed("b") == known.roster.speed("a")
    assert known.roster.fastest_retired is None


def test_retired_workers_come_back_the_fastest_first() -> None:
    workers = [Worker(name, "") for name in "abc"]
    known = _joined(*workers)
    for worker, duration_s in zip(workers, [5.0, 20.0, 10.0], strict=True):
        _measure(known, worker, duration_s)
        known.worker_retired(worker.name)
    known.worker_left("a")
    assert known.roster.fastest_retired == "c"
    known.worker_recalled(workers[2])
    assert known.roster.fastest_retired == "b"


@pytest.mark.parametrize("overhead_s", [None, 5.0, -1.0])
@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf])
def test_a_refused_slice_teaches_nothing(duration_s: float, overhead_s: float | None) -> None:
    scheduler = Scheduler(SETTINGS, make_policy("hrfs"))
    scheduler.handle(TrialAdded(0.0, 0, {}))
    scheduler.handle(WorkerJoined(0.0, "a", "cpu"))
    before = pickle.dumps(scheduler)
    with pytest.raises(ValueError, match=r"_s=.* of a: must be "):
        scheduler.handle(SliceDone(1.0, 0, duration_s, overhead_s=overhead_s))
    assert pickle.dumps(scheduler) == before
    scheduler.handle(SliceDone(1.0, 0, 1.0))
    assert pickle.dumps(scheduler) != before, "the slice was still under way"
