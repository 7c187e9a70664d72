"""The records of a run, foretold one by one."""

from __future__ import annotations

import math
import random

import pytest

from hrfs.experiment.calibration import Calibration, calibration, foretell
from hrfs.experiment.records import SliceRecord


def record(
    number: int,
    start_s: float,
    end_s: float,
    worker: str = "w",
    trial: int = 0,
    iterations: int = 10,
    train_s: float = 0.0,
    kind: str = "",
) -> SliceRecord:
    return SliceRecord(
        slice=number,
        trial=trial,
        worker=worker,
        start_s=start_s,
        end_s=end_s,
        from_iteration=0,
        to_iteration=iterations,
        worker_kind=kind,
        train_s=train_s,
    )


def run(noise: float, slices: int, seed: int, measured: bool) -> list[SliceRecord]:
    """Three workers side by side, one second of overhead and half a second of migration."""
    rng = random.Random(seed)
    free_s = {"a": 0.0, "b": 0.0, "c": 0.0}
    speed = {"a": 0.1, "b": 0.3, "c": 1.0}
    last: dict[int, str] = {}
    records = []
    for number in range(slices):
        worker = min(free_s, key=lambda name: (free_s[name], name))
        trial, iterations = number % 5, rng.randint(10, 40)
        train_s = iterations * speed[worker] * math.exp(rng.gauss(0.0, noise))
        overhead_s = 1.5 if last.get(trial, worker) != worker else 1.0
        last[trial] = worker
        start_s, end_s = free_s[worker], free_s[worker] + train_s + overhead_s
        free_s[worker] = end_s
        told_s = train_s if measured else 0.0
        records.append(record(number, start_s, end_s, worker, trial, iterations, told_s))
    return records


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_about_eighty_percent_of_a_run_is_within_its_intervals(
    noise: float, measured: bool
) -> None:
    judged = inside = 0
    for seed in range(10):
        found = calibration(run(noise, 200, seed, measured))
        assert found.slices + found.unjudged == 200
        assert found.inside + found.below + found.above == found.slices
        assert found.median_error is not None
        assert 0.4 * noise < found.median_error < noise
        judged += found.slices
        inside += found.inside
    assert 0.72 <= inside / judged <= 0.88


def test_a_slice_knows_only_what_had_ended_when_it_began() -> None:
    records = [
        record(0, 0.0, 10.0, "w", trial=0),
        record(1, 5.0, 6.0, "v", trial=1),
        record(2, 6.0, 7.0, "v", trial=1),
        record(3, 10.0, 20.0, "w", trial=0),
    ]
    slices = {
        told.record.slice: (told.prediction is not None, told.slices) for told in foretell(records)
    }
    assert slices == {0: (False, 0), 1: (False, 0), 2: (True, 1), 3: (True, 1)}


def test_the_order_of_the_records_does_not_matter() -> None:
    records = run(0.1, 60, 0, measured=True)
    shuffled = random.Random(1).sample(records, len(records))
    assert calibration(shuffled) == calibration(records)


def test_workers_of_a_kind_are_foretold_from_each_other() -> None:
    records = [record(0, 0.0, 10.0, "w", kind="gpu"), record(1, 10.0, 20.0, "v", kind="gpu")]
    assert [told.prediction is not None for told in foretell(records)] == [False, True]
    assert calibration(records, least_slices=0).slices == 1


def test_slices_outside_are_counted_on_their_side() -> None:
    times = [10.0] * 8 + [100.0] + [10.0] * 4 + [1.0]
    ends = [sum(times[: number + 1]) for number in range(len(times))]
    records = [
        record(number, end_s - took_s, end_s)
        for number, (took_s, end_s) in enumerate(zip(times, ends, strict=True))
    ]
    found = calibration(records)
    assert (found.above, found.below, found.unjudged) == (1, 1, 3)
    assert found.inside == found.slices - 2
    assert found.share == found.inside / found.slices


def test_nothing_to_judge_is_no_share() -> None:
    assert calibration([]) == Calibration(0, 0, 0, 0, 0, None)
    few = calibration([record(0, 0.0, 10.0)])
    assert (few.share, few.unjudged) == (None, 1)


@pytest.mark.parametrize(
    ("start_s", "end_s", "iterations", "said"),
    [(1.0, 1.0, 10, r"10 iterations in 0\.0 s"), (0.0, 1.0, 0, r"0 iterations in 1\.0 s")],
)
def test_a_record_of_nothing_is_refused(
    start_s: float, end_s: float, iterations: int, said: str
) -> None:
    records = [record(7, start_s, end_s, iterations=iterations)]
    with pytest.raises(ValueError, match=rf"^slice 7 of w: {said}; both must be above 0$"):
        calibration(records)
