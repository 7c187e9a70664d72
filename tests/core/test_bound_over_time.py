"""The least makespan of workers that come, go and change: brute force, closed forms, monotony."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hrfs.core.bound import SpeedSteps, constant_spans, level_bound, level_bound_over_time

Steps = list[tuple[float, float]]

WORK = st.lists(st.floats(0, 1e4), max_size=8)
TIMES = st.lists(st.integers(0, 50), min_size=1, max_size=4, unique=True)


@st.composite
def steps(draw: st.DrawFn) -> Steps:
    """A worker that has at last a speed, so that all work is done at some time."""
    times = sorted(draw(TIMES))
    speeds = [draw(st.just(0.0) | st.floats(1e-2, 1e2)) for _ in times[1:]]
    return list(zip(map(float, times), [*speeds, draw(st.floats(1e-2, 1e2))], strict=True))


CLUSTERS = st.lists(steps(), min_size=1, max_size=6)


@given(WORK, st.lists(st.floats(1e-2, 1e2), min_size=1, max_size=8))
def test_speeds_that_stay_give_the_level_bound(work: list[float], speeds: list[float]) -> None:
    expected = level_bound(work, speeds)
    found = level_bound_over_time(work, [[(0.0, speed)] for speed in speeds])
    assert found == pytest.approx(expected, rel=1e-9)


@given(WORK, st.lists(st.floats(1e-2, 1e2), min_size=1, max_size=8), st.floats(0, 100))
def test_a_cluster_that_starts_late_ends_late(
    work: list[float], speeds: list[float], late_s: float
) -> None:
    found = level_bound_over_time(work, [[(late_s, speed)] for speed in speeds])
    expected = late_s + level_bound(work, speeds) if any(work) else 0.0
    assert found == pytest.approx(expected, rel=1e-9)


@given(CLUSTERS, st.floats(0.1, 1e3))
def test_one_trial_is_always_where_it_is_fastest(cluster: list[Steps], work: float) -> None:
    end_s = level_bound_over_time([work], cluster)
    done = 0.0
    for begin_s, until_s, rates in constant_spans(cluster):
        done += max(0.0, min(until_s, end_s) - begin_s) * rates.max()
    assert done == pytest.approx(work, rel=1e-6)


@given(CLUSTERS)
def test_as_many_equal_trials_as_workers_share_all_speed(cluster: list[Steps]) -> None:
    work = 100.0
    end_s = level_bound_over_time([work] * len(cluster), cluster)
    done = 0.0
    for begin_s, until_s, rates in constant_spans(cluster):
        done += max(0.0, min(until_s, end_s) - begin_s) * rates.sum()
    # The average speed is the least of all mean speeds of the k fastest.
    assert done == pytest.approx(work * len(cluster), rel=1e-6)


def test_a_join_and_a_change_by_hand() -> None:
    # 100 iterations in all: 10 s at 2 per second, then 80 at 8 together.
    assert level_bound_over_time([50, 50], [[(0, 2)], [(10, 6)]]) == pytest.approx(20)
    # The long trial: 10 s at 2, then at 6 on the new worker.
    assert level_bound_over_time([80, 1], [[(0, 2)], [(10, 6)]]) == pytest.approx(20)
    # Halved at 5 s: 50 + 25 in 5 + 5 s.
    assert level_bound_over_time([75], [[(0, 10), (5, 5)]]) == pytest.approx(10)
    # Away from 5 to 20 s.
    assert level_bound_over_time([75], [[(0, 10), (5, 0), (20, 10)]]) == pytest.approx(22.5)


def test_work_that_ends_as_the_worker_leaves_does_not_wait_for_its_return() -> None:
    assert level_bound_over_time([0.1] * 3, [[(0, 1), (0.3, 0), (1000, 1)]]) == pytest.approx(0.3)


def test_work_that_cannot_be_done_never_ends() -> None:
    assert level_bound_over_time([11], [[(0, 1), (10, 0)]]) == math.inf
    assert level_bound_over_time([5, 5], [[(0, 0)], [(0, 1)]]) == pytest.approx(10)
    assert level_bound_over_time([0], [[(0, 0)]]) == 0


@given(WORK, CLUSTERS, st.data())
def test_more_work_or_slower_workers_never_help(
    work: list[float], cluster: list[Steps], data: st.DataObject
) -> None:
    bound = level_bound_over_time(work, cluster)
    more = [w + data.draw(st.floats(0, 100)) for w in work]
    slower = [[(t, s * data.draw(st.floats(0.1, 1))) for t, s in one] for one in cluster]
    later = [[(t + data.draw(st.just(5.0)), s) for t, s in one] for one in cluster]
    assert level_bound_over_time(more, cluster) >= bound * (1 - 1e-9)
    assert level_bound_over_time(work, slower) >= bound * (1 - 1e-9)
    assert level_bound_over_time(work, later) >= bound * (1 - 1e-9)
    assert level_bound_over_time(work, [*cluster, [(3.0, 1.0)]]) <= bound * (1 + 1e-9)


def ends_s(one: SpeedSteps, start_s: float, work: float) -> float:
    """When ``work`` that starts at ``start_s`` on one worker is done."""
    for begin_s, until_s, rates in constant_spans([one]):
        if until_s <= start_s:
            continue
        begin_s = max(begin_s, start_s)
        speed = float(rates[0])
        if speed and (until_s - begin_s) * speed >= work:
            return begin_s + work / speed
        work -= 0.0 if math.isinf(until_s) else (until_s - begin_s) * speed
    return math.inf


def best_slices_s(pieces: list[list[float]], cluster: list[Steps]) -> float:
    """Least end over all orders and placements of each trial's slices."""
    best = math.inf

    def place(
        next_piece: tuple[int, ...], free_s: tuple[float, ...], at_s: tuple[float, ...]
    ) -> None:
        nonlocal best
        if max(at_s) >= best:
            return
        open_trials = [t for t, n in enumerate(next_piece) if n < len(pieces[t])]
        if not open_trials:
            best = max(at_s)
        for t, w in itertools.product(open_trials, range(len(cluster))):
            end = ends_s(cluster[w], max(free_s[w], at_s[t]), pieces[t][next_piece[t]])
            place(
                (*next_piece[:t], next_piece[t] + 1, *next_piece[t + 1 :]),
                (*free_s[:w], end, *free_s[w + 1 :]),
                (*at_s[:t], end, *at_s[t + 1 :]),
            )

    trials = len(pieces)
    place((0,) * trials, (0.0,) * len(cluster), (0.0,) * trials)
    return best


@given(
    st.lists(st.lists(st.floats(0.5, 50), min_size=1, max_size=2), min_size=1, max_size=2),
    st.lists(steps(), min_size=1, max_size=3),
)
@example([[10.0, 10.0], [20.0]], [[(0.0, 1.0)], [(0.0, 1.0)]])
def test_never_above_the_best_of_all_slice_schedules(
    pieces: list[list[float]], cluster: list[Steps]
) -> None:
    best_s = best_slices_s(pieces, cluster)
    assert level_bound_over_time([sum(p) for p in pieces], cluster) <= best_s * (1 + 1e-9)


@pytest.mark.parametrize(
    ("pieces", "cluster", "optimum_s"),
    [
        # McNaughton: three trials of 2 on two workers need 3, and slices of 1 reach it.
        ([[1.0, 1.0]] * 3, [[(0.0, 1.0)], [(0.0, 1.0)]], 3.0),
        # A fast worker joins at 2 s and changes over to the other trial at 3.9 s.
        ([[3.9, 2.0], [7.6, 0.5]], [[(0.0, 1.0)], [(2.0, 4.0)]], 4.4),
    ],
)
def test_the_bound_is_reached_where_slices_allow_it(
    pieces: list[list[float]], cluster: list[Steps], optimum_s: float
) -> None:
    bound_s = level_bound_over_time([sum(p) for p in pieces], cluster)
    assert bound_s == pytest.approx(optimum_s)
    assert best_slices_s(pieces, cluster) == pytest.approx(optimum_s)


@pytest.mark.parametrize(
    ("work", "cluster", "message"),
    [
        ([1.0], [], r"^speeds=\[\]: at least one worker$"),
        ([1.0], [[]], r"^steps=\[\]: at least one, with ascending times from 0 s on$"),
        ([1.0], [[(1, 1), (1, 2)]], r"^steps=\[.*\]: at least one, with ascending times"),
        ([1.0], [[(-1, 1)]], r"^steps=\[\(-1, 1\)\]: at least one, with ascending times"),
        ([1.0], [[(math.nan, 1)]], r"^steps=\[.*\]: at least one, with ascending times"),
        ([1.0], [[(0, -1)]], r"^steps=\[\(0, -1\)\]: each speed must be finite and not negative$"),
        ([1.0], [[(0, math.nan)]], r"^steps=\[.*\]: each speed must be finite and not negative$"),
        ([-1.0], [[(0, 1)]], r"^work=\[-1.0\]: each must be finite and not negative$"),
    ],
)
def test_what_cannot_be_is_refused(work: list[float], cluster: list[Steps], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        level_bound_over_time(work, cluster)
