"""What a slice costs: noise, trials and kinds that cost more, drift, links."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.core.decisions import StartSlice
from hrfs.experiment.errors import ConfigError
from hrfs.simulator.durations import Duration, Durations, stretched
from hrfs.simulator.spec import Link, SimulatedWorker, Workload
from hrfs.simulator.streams import Purpose, Stream

A, B = SimulatedWorker("a", 1.0, 2.0), SimulatedWorker("b", 3.0, kind="gpu")


def price(
    workload: Workload,
    worker: str = "a",
    trial: int = 0,
    number: int = 0,
    now_s: float = 0.0,
    weights_on: str = "",
) -> Duration:
    """The duration of a slice of ten iterations."""
    start = StartSlice(number, trial, worker, 0, 10, {}, None, None, "")
    return Durations(workload).of(start, now_s, weights_on or worker)


def test_trials_and_kinds_may_cost_more() -> None:
    workload = Workload(
        2, 100, 10, (A, B), work_factor=(1.0, 4.0), kind_factors={"gpu": (0.5, 0.25)}
    )
    assert price(workload, "a", 0) == (12.0, 2.0, 10.0)
    assert price(workload, "a", 1) == (42.0, 2.0, 40.0)
    assert price(workload, "b", 0) == (15.0, 0.0, 15.0)
    assert price(workload, "b", 1) == (30.0, 0.0, 30.0)
    kinds_alone = replace(workload, work_factor=None)
    assert price(kinds_alone, "b", 1) == (7.5, 0.0, 7.5)
    assert price(kinds_alone, "a", 1) == (12.0, 2.0, 10.0)


def test_a_move_costs_the_bytes_over_the_slower_link() -> None:
    c = SimulatedWorker("c", 1.0, link_bytes_per_s=20.0)
    workload = Workload(
        1, 100, 10, (A, B, c), checkpoint_bytes=100.0, link_bytes_per_s=50.0,
        links=(Link(("b", "a"), 400.0),),
    )  # fmt: skip
    assert price(workload, "a", weights_on="c").overhead_s == 2.0 + 100 / 20
    assert price(workload, "c", weights_on="b").overhead_s == 100 / 20
    assert price(workload, "a", weights_on="b").overhead_s == 2.0 + 100 / 400
    assert price(workload, "b", weights_on="a").overhead_s == 100 / 400
    assert price(workload, "a", weights_on="a").overhead_s == 2.0
    assert price(replace(workload, links=()), "a", weights_on="b").overhead_s == 2.0 + 100 / 50


def test_bandwidth_must_be_known() -> None:
    workload = Workload(1, 100, 10, (A,), checkpoint_bytes=1.0)
    with pytest.raises(
        ConfigError,
        match=r"^workers\.a\.link_bytes_per_s=\?\?\?: must be given where checkpoint_bytes is$",
    ):
        Durations(workload)


def test_noise_is_log_normal_with_median_one() -> None:
    workload = Workload(1, 100, 10, (A,), noise_sigma=0.2, seed=5)
    seconds = [price(workload, number=number).train_s / 10 for number in range(2000)]
    logs = [math.log(factor) for factor in seconds]
    assert statistics.fmean(logs) == pytest.approx(0.0, abs=0.02)
    assert statistics.stdev(logs) == pytest.approx(0.2, rel=0.05)
    assert price(workload, number=3).overhead_s == 2.0  # the overhead has no noise
    other_seed = replace(workload, seed=6)
    assert price(other_seed, number=0) != price(workload, number=0)


@given(seed=st.integers(0, 2**70), indices=st.lists(st.integers(0, 20_000), max_size=4))
def test_a_number_depends_on_its_index_alone(seed: int, indices: list[int]) -> None:
    stream = Stream(seed, Purpose.NOISE, "normal")
    numbers = [stream[index] for index in indices]
    fresh = Stream(seed, Purpose.NOISE, "normal")
    assert [fresh[index] for index in reversed(indices)] == numbers[::-1]
    other = Stream(seed, Purpose.SCORE, "normal")
    assert all(other[index] != number for index, number in zip(indices, numbers, strict=True))


def test_uniform_numbers_fill_the_unit_interval() -> None:
    stream = Stream(0, Purpose.FAILS, "uniform")
    numbers = [stream[index] for index in range(10_000)]
    assert min(numbers) >= 0
    assert max(numbers) < 1
    assert statistics.fmean(numbers) == pytest.approx(0.5, abs=0.01)
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("begin_s", "work_s", "seconds"),
    [
        (0.0, 10.0, 10.0),  # ends as the first change comes
        (0.0, 4.0, 4.0),
        (4.0, 10.0, 6.0 + 4.0 * 2),
        (12.0, 4.0, 8.0),  # ends as the second comes
        (0.0, 20.0, 10.0 + 5.0 * 2 + 5.0 * 0.5),  # 10 + 5 + 5 of work
        (20.0, 8.0, 4.0),
        (99.0, 8.0, 4.0),
    ],
)
def test_drift_by_hand(begin_s: float, work_s: float, seconds: float) -> None:
    assert stretched(((10.0, 2.0), (20.0, 0.5)), begin_s, work_s) == pytest.approx(seconds)


@given(
    begin_s=st.floats(0, 50),
    work_s=st.floats(0.1, 100),
    gaps=st.lists(st.tuples(st.floats(0.1, 20), st.floats(0.2, 5)), max_size=5),
)
def test_drift_does_exactly_the_work(
    begin_s: float, work_s: float, gaps: list[tuple[float, float]]
) -> None:
    """The integral of 1 / factor over the time taken is the work."""
    changes, at_s = [], 0.0
    for gap_s, factor in gaps:
        at_s += gap_s
        changes.append((at_s, factor))
    end_s = begin_s + stretched(changes, begin_s, work_s)
    edges = [0.0, *(at for at, _ in changes), math.inf]
    factors = [1.0, *(factor for _, factor in changes)]
    done = sum(
        max(0.0, min(end_s, until) - max(begin_s, since)) / factor
        for since, until, factor in zip(edges, edges[1:], factors, strict=False)
    )
    assert done == pytest.approx(work_s)


def test_overhead_and_move_come_before_the_iterations_and_do_not_drift() -> None:
    worker = replace(A, speed_changes=((10.0, 3.0),))
    workload = Workload(1, 100, 10, (worker, B), migration_s=5.0)
    # 2 s of overhead and 5 s of moving, 3 s at full speed, 7 s of work at a third of it
    assert price(workload, weights_on="b") == (7.0 + 3.0 + 7 * 3.0, 7.0, 3.0 + 7 * 3.0)


def test_seconds_beyond_all_numbers_are_refused() -> None:
    workload = Workload(1, 100, 10, (SimulatedWorker("a", 1e308),))
    rule = r"^workers.a=inf s: a slice of it must last from 1e-12 to 1e\+18 s$"
    with pytest.raises(ConfigError, match=rule):
        price(workload)


@pytest.mark.parametrize("seconds", [5e-324, 1e-20])
def test_seconds_too_few_to_reckon_with_are_refused(seconds: float) -> None:
    workload = Workload(1, 100, 10, (SimulatedWorker("a", seconds),))
    with pytest.raises(ConfigError, match=r"s: a slice of it must last from 1e-12 to "):
        price(workload)


def test_an_overhead_beside_which_training_is_nothing_is_refused() -> None:
    workload = Workload(1, 100, 10, (SimulatedWorker("a", 1e-3, slice_overhead_s=1e15),))
    rule = (
        r"^workers.a=1e\+15 s: so long an overhead leaves nothing of a slice's 0.01 s of training$"
    )
    with pytest.raises(ConfigError, match=rule):
        price(workload)
