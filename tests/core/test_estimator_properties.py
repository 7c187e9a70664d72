"""Planted speeds, overheads and migrations are recovered; units and names do not matter."""

from __future__ import annotations

import math
import random

import pytest
from estimator_play import Cluster, Planted, known, watch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.core.estimator import SpeedEstimator

SEEDS = st.integers(0, 2**32 - 1)
EXAMPLES = settings(max_examples=25)


@st.composite
def clusters(draw: st.DrawFn, noise: float, kinds: bool = False) -> Cluster:
    """Two to five workers, speeds over a factor of 100, overheads up to ten iterations."""
    migration = draw(st.floats(0.0, 5.0))
    fastest = draw(st.floats(1e-4, 10.0))
    workers = {}
    for number in range(draw(st.integers(2, 5))):
        seconds = fastest * draw(st.floats(1.0, 100.0))
        overhead_s = seconds * draw(st.floats(0.0, 10.0))
        kind = draw(st.sampled_from(["", "cpu", "gpu"])) if kinds else ""
        workers[f"w{number}"] = Planted(seconds, overhead_s, fastest * migration, kind)
    return Cluster(workers, noise, draw(SEEDS))


@EXAMPLES
@given(cluster=clusters(noise=0.02, kinds=True))
def test_measured_overheads_and_speeds_are_recovered(cluster: Cluster) -> None:
    estimator = cluster.teach(SpeedEstimator(), 60 * len(cluster.workers))
    for name, true in cluster.workers.items():
        found = known(estimator, name)
        assert math.log(found.seconds_per_iteration / true.seconds_per_iteration) == pytest.approx(
            0.0, abs=0.03
        )
        tolerance_s = 0.3 * true.seconds_per_iteration
        assert found.overhead_s == pytest.approx(true.overhead_s, rel=0.1, abs=tolerance_s)
        moving_s = true.overhead_s + true.migration_s
        assert found.overhead_s + found.migration_s == pytest.approx(
            moving_s, rel=0.1, abs=tolerance_s
        )


@EXAMPLES
@given(cluster=clusters(noise=0.02))
def test_overheads_and_speeds_are_told_apart_by_slices_of_unlike_length(cluster: Cluster) -> None:
    estimator = cluster.teach(SpeedEstimator(), 60 * len(cluster.workers), measured=False)
    for name, true in cluster.workers.items():
        found = known(estimator, name)
        assert found.seconds_per_iteration == pytest.approx(true.seconds_per_iteration, rel=0.1)
        tolerance_s = 3.0 * true.seconds_per_iteration
        assert found.overhead_s == pytest.approx(true.overhead_s, abs=tolerance_s)
        moving_s = true.overhead_s + true.migration_s
        assert found.overhead_s + found.migration_s == pytest.approx(moving_s, abs=tolerance_s)


@EXAMPLES
@given(cluster=clusters(noise=0.1, kinds=True), measured=st.booleans(), factor=st.floats(1e-3, 1e3))
def test_another_unit_of_time_multiplies_every_estimate(
    cluster: Cluster, measured: bool, factor: float
) -> None:
    plain, scaled = SpeedEstimator(), SpeedEstimator()
    for name, true in cluster.workers.items():
        plain.join(name, true.kind)
        scaled.join(name, true.kind)
    for played in cluster.play(40):
        watch(plain, played, measured)
        watch(scaled, played, measured, factor)
    for name in cluster.workers:
        before, after = plain.estimate(name), scaled.estimate(name)
        if before is None or after is None:
            assert before is after
            continue
        assert after.slices == before.slices
        assert after.log_sigma == pytest.approx(before.log_sigma, rel=1e-6)
        for field in ("seconds_per_iteration", "overhead_s", "migration_s"):
            small = 1e-6 * factor * before.seconds_per_iteration
            assert getattr(after, field) == pytest.approx(
                factor * getattr(before, field), rel=1e-6, abs=small
            )
    for trial in range(cluster.trials):
        assert scaled.trial_factor(trial) == pytest.approx(plain.trial_factor(trial), rel=1e-6)


@EXAMPLES
@given(cluster=clusters(noise=0.1, kinds=True), measured=st.booleans(), order=SEEDS)
def test_other_names_change_no_number(cluster: Cluster, measured: bool, order: int) -> None:
    names = sorted(cluster.workers)
    shuffled = random.Random(order).sample(names, len(names))
    renamed = dict(zip(names, shuffled, strict=True))
    plain, other = SpeedEstimator(), SpeedEstimator()
    for name in names:
        plain.join(name, cluster.workers[name].kind)
    for name in reversed(names):
        other.join(renamed[name], cluster.workers[name].kind)
    for played in cluster.play(40):
        overhead_s = played.overhead_s if measured else None
        watch(plain, played, measured)
        other.observe(
            renamed[played.worker],
            played.trial + 100,
            played.iterations,
            played.duration_s,
            overhead_s,
            played.moved,
        )
    for name in names:
        before, after = plain.estimate(name), other.estimate(renamed[name])
        if before is None or after is None:
            assert before is after
        else:
            assert tuple(after) == pytest.approx(tuple(before), rel=1e-6, abs=1e-9)


@EXAMPLES
@given(
    cluster=clusters(noise=0.1),
    measured=st.booleans(),
    looked=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_asking_changes_nothing(cluster: Cluster, measured: bool, looked: list[bool]) -> None:
    quiet, asked = SpeedEstimator(), SpeedEstimator()
    for name in cluster.workers:
        quiet.join(name, "gpu")
        asked.join(name, "gpu")
    for look, played in zip(looked, cluster.play(40), strict=True):
        watch(quiet, played, measured)
        watch(asked, played, measured)
        if look:
            for name in cluster.workers:
                asked.estimate(name)
                asked.predict(name, 10, moved=True, trial=0)
    for name in cluster.workers:
        before, after = quiet.estimate(name), asked.estimate(name)
        assert before is not None
        assert after is not None
        assert tuple(after) == pytest.approx(tuple(before), rel=1e-9, abs=1e-12)


@EXAMPLES
@given(
    slices=st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 3),
            st.integers(1, 1000),
            st.floats(1e-6, 1e6),
            st.none() | st.floats(0.0, 0.999),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_no_slices_however_odd_break_it(
    slices: list[tuple[str, int, int, float, float | None, bool]],
) -> None:
    estimator = SpeedEstimator()
    for worker in "abc":
        estimator.join(worker, "kind")
    for worker, trial, iterations, duration_s, part, moved in slices:
        overhead_s = None if part is None else part * duration_s
        estimator.observe(worker, trial, iterations, duration_s, overhead_s, moved)
        found = known(estimator, worker)
        assert all(math.isfinite(value) and value >= 0.0 for value in found)
        assert found.seconds_per_iteration > 0.0
        predicted = estimator.predict(worker, iterations, moved, trial)
        assert predicted is not None
        assert 0.0 < predicted.low_s <= predicted.seconds <= predicted.high_s < math.inf
        assert 0.0 < estimator.trial_factor(trial) < math.inf
