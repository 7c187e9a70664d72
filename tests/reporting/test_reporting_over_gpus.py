"""The bound from measured costs, and the speed-up over the GPUs alone beside its ceiling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting_play import WORKERS, Play

from hrfs.core.bound import level_bound
from hrfs.experiment.records import SliceRecord
from hrfs.reporting import History, summarise
from hrfs.reporting.costs import filled, measured_costs
from hrfs.reporting.farewell import summary_lines
from hrfs.reporting.figures import bound_s
from hrfs.reporting.over_gpus import over_gpus


def piece(
    number: int, trial: int, worker: str, start_s: float, seconds: float, iterations: int
) -> SliceRecord:
    kind = "gpu:A100" if worker.startswith("gpu") else "cpu"
    end_s = start_s + seconds
    return SliceRecord(number, trial, worker, start_s, end_s, 0, iterations, worker_kind=kind)


def of_batch(record: SliceRecord, size: int) -> SliceRecord:
    return replace(record, hyperparameters={"batch_size": size, "lr": 0.1})


MIXED = [
    piece(0, 0, "gpu0", 0.0, 10.0, 100),
    piece(1, 1, "gpu0", 10.0, 10.0, 100),
    piece(2, 2, "cpu0", 0.0, 20.0, 40),
    piece(3, 3, "cpu1", 0.0, 25.0, 75),
]
"""10, 2 and 3 iterations per second; 315 iterations in 25 s."""


def test_the_speed_up_over_the_gpus_and_its_ceiling_by_hand() -> None:
    found = over_gpus(MIXED)
    assert found is not None
    assert found.gpu_only_bound_s == pytest.approx(315 / 10)
    assert found.speedup == pytest.approx(31.5 / 25)
    assert found.ceiling == pytest.approx(15 / 10)


def test_without_gpus_or_with_gpus_alone_there_is_nothing_to_say() -> None:
    assert over_gpus(MIXED[:2]) is None
    assert over_gpus(MIXED[2:]) is None
    assert over_gpus([]) is None


def test_a_summary_and_its_last_words_tell_both(tmp_path: Path) -> None:
    history = History()
    Play([history]).run()
    summary = summarise(history, {})
    told = summary["over_gpus"]
    speeds = {w["name"]: w["iterations_per_s"] for w in summary["workers"]}
    assert told["ceiling"] == pytest.approx(sum(speeds.values()) / speeds["box-gpu-0"])
    assert told["gpu_only_bound_s"] == pytest.approx(160 / speeds["box-gpu-0"])
    assert told["speedup"] == pytest.approx(told["gpu_only_bound_s"] / summary["makespan_s"])
    assert told["speedup"] <= told["ceiling"]
    line = summary_lines(summary, tmp_path)["over GPUs"]
    assert line == (
        f"{told['speedup']:.4g} times as fast as the GPUs alone at their best "
        f"({told['gpu_only_bound_s']:.4g} s), where all speeds / GPU speeds is "
        f"{told['ceiling']:.4g}"
    )


def test_a_cluster_without_gpus_says_nothing_of_them(tmp_path: Path) -> None:
    history = History()
    Play([history], workers=WORKERS[1:]).run()
    summary = summarise(history, {})
    assert summary["over_gpus"] is None
    assert "over GPUs" not in summary_lines(summary, tmp_path)


def test_equal_batches_give_the_level_bound() -> None:
    plain, batched = bound_s(MIXED), bound_s([of_batch(r, 64) for r in MIXED])
    assert plain == batched == pytest.approx(level_bound([100, 100, 40, 75], [10, 2, 3]))


def test_a_costly_batch_does_not_make_its_worker_slow() -> None:
    # Trial 0 costs ten times as much; each worker would do an iteration of trial 1 in 1 s.
    slow = of_batch(piece(0, 0, "cpu0", 0.0, 50.0, 5), 640)
    quick = of_batch(piece(1, 1, "cpu1", 0.0, 100.0, 100), 64)
    both = of_batch(piece(2, 2, "cpu0", 50.0, 10.0, 10), 64)
    # 50 + 100 + 10 s of work on two equal workers, of which trial 1 alone takes 100
    assert bound_s([slow, quick, both]) == pytest.approx(100)
    shared = [slow, replace(quick, to_iteration=60, end_s=60.0), both]
    assert bound_s(shared) == pytest.approx((50 + 60 + 10) / 2)


def test_specialists_are_seen_by_the_linear_program() -> None:
    records = [
        of_batch(piece(0, 0, "gpu0", 0.0, 10.0, 100), 8),
        of_batch(piece(1, 1, "gpu0", 10.0, 40.0, 100), 9),
        of_batch(piece(2, 2, "cpu0", 0.0, 40.0, 100), 8),
        of_batch(piece(3, 3, "cpu0", 40.0, 10.0, 100), 9),
    ]
    # Each batch size where it is fast: two trials of 10 s on either worker, in place of 50 s.
    assert bound_s(records) == pytest.approx(20)


def test_known_factors_are_taken_out_of_the_speeds() -> None:
    heavy = {0: 10.0, 1: 1.0, 2: 1.0}
    records = [
        piece(0, 0, "cpu0", 0.0, 100.0, 10),
        piece(1, 1, "cpu1", 0.0, 50.0, 50),
        piece(2, 2, "cpu1", 50.0, 10.0, 10),
    ]
    assert bound_s(records, lambda worker, trial: heavy[trial]) == pytest.approx(100)
    even = [replace(records[0], to_iteration=6, end_s=60.0), *records[1:]]
    assert bound_s(even, lambda worker, trial: heavy[trial]) == pytest.approx(60)


@given(
    st.lists(st.floats(0.1, 10), min_size=1, max_size=5),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
    st.data(),
)
def test_costs_that_were_not_measured_follow_from_those_that_were(
    by_worker: list[float], by_workload: list[float], data: st.DataObject
) -> None:
    seconds = np.outer(by_worker, by_workload)
    measured = np.array([[data.draw(st.booleans()) for _ in by_workload] for _ in by_worker])
    measured[0] = measured[:, 0] = True  # every worker and workload is tied to the others
    units = measured.astype(float)
    assert filled(seconds * units, units) == pytest.approx(seconds)


def test_no_slice_has_no_cost() -> None:
    assert measured_costs([]).workers == ()
    assert bound_s([replace(MIXED[0], to_iteration=0)]) is None
