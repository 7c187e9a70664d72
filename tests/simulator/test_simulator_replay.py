"""What a run's slices tell of its cluster, and the run again in virtual time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pytest

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import SliceRecord
from hrfs.simulator.driver import play
from hrfs.simulator.policies import policy_for
from hrfs.simulator.replay import dealt_anew, workload_from_run
from hrfs.simulator.spec import SimulatedWorker, Workload

WORKERS = (
    SimulatedWorker("a", 0.1, 0.3, "gpu"),
    SimulatedWorker("b", 0.2, 0.2, "cpu"),
    SimulatedWorker("c", 0.5, 0.4, "cpu"),
)
FACTORS = (1.0, 1.0, 2.0, 1.0, 0.5, 1.0)
STALL_S = 1000.0


def planted(**changes: Any) -> Workload:
    values: dict[str, Any] = {
        "trials": 6, "stop_iteration": 400, "interval": 20, "workers": WORKERS,
        "migration_s": 0.25, "noise_sigma": 0.05, "seed": 3,
    }  # fmt: skip
    return Workload(**values | changes)


def run(workload: Workload, scheduler: str = "greedy") -> list[SliceRecord]:
    return play(workload, policy_for(scheduler, workload)).records


def again(records: Sequence[SliceRecord], **changes: Any) -> Workload:
    return workload_from_run(
        records, **{"trials": 6, "stop_iteration": 400, "interval": 20} | changes
    )


def record(slice_: int, trial: int, worker: str, start_s: float, **changes: Any) -> SliceRecord:
    """Ten iterations, 0.1 s each, and half a second of overhead."""
    values = {"end_s": start_s + 1.5, "from_iteration": 0, "to_iteration": 10, "train_s": 1.0}
    return SliceRecord(slice_, trial, worker, start_s, **values | changes)


@pytest.mark.parametrize("seed", range(5))
def test_planted_speeds_overheads_and_moves_are_found(seed: int) -> None:
    found = again(run(planted(seed=seed)))
    assert [worker.name for worker in found.workers] == ["a", "b", "c"]
    for worker, true in zip(found.workers, WORKERS, strict=True):
        assert worker.kind == true.kind
        assert worker.seconds_per_iteration == pytest.approx(true.seconds_per_iteration, rel=0.06)
        assert worker.slice_overhead_s == pytest.approx(true.slice_overhead_s)
        assert (worker.joins_at_s, worker.leaves_at_s, worker.speed_changes) == (0.0, None, ())
    assert found.migration_s == pytest.approx(0.25)
    assert found.work_factor is None
    assert 0.03 < max(found.duration_factors) - 1 < 0.25


@pytest.mark.parametrize("scheduler", ["hrfs_paper", "greedy", "static", "fastest_only"])
def test_an_unchanged_replay_lasts_as_long(scheduler: str) -> None:
    records = run(planted(), scheduler)
    replayed = run(again(records), scheduler)
    assert replayed[-1].end_s == pytest.approx(records[-1].end_s, rel=0.02)
    assert sum(r.iterations for r in replayed) == sum(r.iterations for r in records)


def test_trials_that_cost_more_are_found() -> None:
    records = run(planted(work_factor=FACTORS))
    found = again(records)
    assert found.work_factor == pytest.approx(FACTORS, rel=0.05)
    for worker, true in zip(found.workers, WORKERS, strict=True):
        assert worker.seconds_per_iteration == pytest.approx(true.seconds_per_iteration, rel=0.05)
    assert run(found)[-1].end_s == pytest.approx(records[-1].end_s, rel=0.02)


def test_a_stall_changes_no_median_but_is_not_lost() -> None:
    records = run(planted(noise_sigma=0.0))
    at = next(i for i, r in enumerate(records) if i > 20 and r.worker == "b")
    stalled = dataclasses.replace(
        records[at], end_s=records[at].end_s + STALL_S, train_s=records[at].train_s + STALL_S
    )
    found = again([*records[:at], stalled, *records[at + 1 :]])
    for worker, true in zip(found.workers, WORKERS, strict=True):
        assert worker.seconds_per_iteration == pytest.approx(true.seconds_per_iteration)
    slow = found.duration_factors[records[at].slice]
    assert slow * 20 * 0.2 == pytest.approx(STALL_S + 20 * 0.2, rel=0.01)
    others = [f for i, f in enumerate(found.duration_factors) if i != records[at].slice]
    assert others == pytest.approx([1.0] * len(others))


def test_the_start_of_a_process_and_a_slow_first_slice_come_again() -> None:
    late = dataclasses.replace(WORKERS[1], joins_at_s=7.0, speed_changes=((7.0, 10.0), (47.2, 1.0)))
    workers = (WORKERS[0], late)
    records = run(planted(noise_sigma=0.0, workers=workers))
    first = next(r for r in records if r.worker == "b")
    assert first.duration_s == pytest.approx(0.2 + 20 * 0.2 * 10)
    found = again(records).workers[1]
    assert found.joins_at_s == 7.0
    (begin, end) = found.speed_changes
    assert begin == (7.0, pytest.approx(10.0))
    assert end == (pytest.approx(47.2), 1.0)


def test_time_begins_with_the_first_slice_of_the_run() -> None:
    found = again([record(0, 0, "a", 100.0), record(1, 1, "b", 103.0)])
    assert [worker.joins_at_s for worker in found.workers] == [0.0, 3.0]


def test_a_worker_that_lost_its_process_joins_when_it_has_another() -> None:
    """Its second slice was decided third and began last."""
    b = [record(1, 1, "b", 2.0), *(record(n, 1, "b", 2.0 * n) for n in range(3, 9))]
    lost = [record(0, 0, "a", 0.0), record(2, 0, "a", 24.0), record(9, 0, "a", 26.0)]
    assert [worker.joins_at_s for worker in again([*lost, *b]).workers] == [24.0, 2.0]
    held = [record(0, 0, "a", 0.0), record(9, 0, "a", 24.0), record(10, 0, "a", 26.0)]
    assert [worker.joins_at_s for worker in again([*held, *b]).workers] == [0.0, 2.0]


def test_the_drivers_time_between_slices_is_overhead() -> None:
    found = again([record(n, 0, "a", 2.0 * n) for n in range(4)])
    assert found.workers[0].slice_overhead_s == pytest.approx(0.5 + 0.5)


def test_weights_of_a_donor_count_as_moved_from_where_the_donor_was() -> None:
    """Loading takes 0.2 s in slices that go on from elsewhere, and in no others."""
    moved = {"end_s": 11.7, "load_s": 0.2}
    records = [
        *(record(n, 0, "a", 2.0 * n) for n in range(5)),
        *(record(5 + n, 1, "b", 2.0 * n) for n in range(5)),
        record(10, 0, "a", 10.0, parent=1, **moved),
        record(11, 1, "b", 10.0, parent=0, **moved),
    ]
    found = again(records)
    assert found.migration_s == pytest.approx(0.2)
    assert [w.slice_overhead_s for w in found.workers] == [pytest.approx(1.0)] * 2


def test_a_worker_that_had_left_leaves_after_its_last_slice() -> None:
    records = [record(n, 0, "a", 2.0 * n) for n in range(9)] + [record(9, 1, "b", 1.0)]
    found = again(records, gone={"b"})
    assert [worker.leaves_at_s for worker in found.workers] == [None, 2.5]


def test_another_seed_deals_the_same_noise_to_other_slices() -> None:
    found = again(run(planted()))
    one, other = dealt_anew(found, 1), dealt_anew(found, 2)
    assert sorted(one.duration_factors) == sorted(found.duration_factors)
    assert one == dealt_anew(found, 1)
    assert one.duration_factors != other.duration_factors != found.duration_factors


def test_what_cannot_be_replayed_is_told() -> None:
    for records, line in [
        (
            [],
            "slices=0: no slice of the run has finished, so no speed is known; "
            "let it run until each worker has finished a few",
        ),
        (
            [record(0, 6, "a", 0.0)],
            "trial=6: slice 0 is of it, but the population has 6 trials; "
            "give the slices.csv of this run",
        ),
        (
            [record(4, 0, "a", 0.0, train_s=0.0)],
            "train_s=0.0: must be above 0 and finite, but is not for slice 4; "
            "give the slices.csv of a run",
        ),
        (
            [record(0, 0, "a", 0.0), record(5, 0, "a", 2.0, end_s=math.nan)],
            "duration_s=nan: must be above 0 and finite, but is not for slice 5; "
            "give the slices.csv of a run",
        ),
    ]:
        with pytest.raises(ConfigError) as caught:
            again(records)
        assert str(caught.value) == line
