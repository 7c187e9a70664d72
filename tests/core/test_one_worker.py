"""With a single worker no decision depends on a measured second: a run can be repeated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import pytest
from fusion_play import Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from hrfs.core.baselines import RayPbtPolicy
from hrfs.core.decisions import Decision, StartSlice
from hrfs.core.events import Event, SliceDone, SliceFailed, TrialAdded, WorkerJoined, WorkerLeft
from hrfs.core.invariants import check
from hrfs.core.pbt import PbtSettings
from hrfs.core.policies import POLICIES
from hrfs.core.policy import Policy
from hrfs.core.populations import Populations
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.search_space import Hyperparameter, Uniform

SPACE = {"lr": Hyperparameter(Uniform(0.001, 1.0), Uniform(0.0001, 1.0))}
RULES: dict[str, Callable[[], Policy]] = {**POLICIES, "ray_pbt": lambda: RayPbtPolicy("cpu")}
SECONDS = st.one_of(st.sampled_from([1e-6, 1.0, 1e6]), st.floats(1e-6, 1e6))
SHARES = st.one_of(st.none(), st.floats(0.0, 0.99))
HAPPENINGS = st.lists(st.sampled_from(["done"] * 6 + ["fail", "leave"]), max_size=60)


@dataclass(frozen=True)
class Case:
    """What is the same in both runs."""

    trials: int
    stop: int
    interval: int
    populations: int
    target: float | None
    kind: str
    happens: Sequence[str]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    stop = draw(st.integers(1, 60))
    return Case(
        trials=draw(st.integers(1, 6)),
        stop=stop,
        interval=draw(st.integers(1, stop)),
        populations=draw(st.sampled_from([1, 1, 2])),
        target=draw(st.sampled_from([None, None, 0.97])),
        kind=draw(st.sampled_from(["cpu", "cpu:7"])),
        happens=draw(HAPPENINGS),
    )


def _play(
    case: Case, policy: Policy, took: Sequence[tuple[float, float | None]]
) -> list[list[Decision]]:
    """All decisions of a run whose slices take those seconds, over and over."""
    populations = Populations(tuple(range(case.populations)), case.trials)
    fixed = Settings(
        case.stop, case.interval, SPACE, PbtSettings(quantile=0.5), populations=populations,
        target_score=case.target, stop_on_target=case.target is not None,
    )  # fmt: skip
    scheduler, now_s, told = Scheduler(fixed, policy), 0.0, []

    def tell(event: Event) -> None:
        told.append(scheduler.handle(event))
        check(scheduler)

    for trial in range(case.populations * case.trials):
        tell(TrialAdded(0.0, trial, {"lr": 0.1 + 0.01 * trial}))
    tell(WorkerJoined(0.0, "w", case.kind))
    happens = [*case.happens]
    for step in range(10_000):
        if scheduler.finished:
            return told
        what = happens[step] if step < len(happens) else "done"
        ((number, running),) = scheduler.state.running.items()
        duration_s, share = took[step % len(took)]
        now_s += duration_s
        if what == "done":
            iteration = running.from_iteration + running.iterations
            score = math.sin(1 + 7 * running.trial + 3 * iteration)
            overhead_s = None if share is None else share * duration_s
            tell(SliceDone(now_s, number, duration_s, score, f"state-{number}", overhead_s))
        elif what == "fail":
            tell(SliceFailed(now_s, number, "out of memory"))
        else:
            tell(WorkerLeft(now_s, "w", "unplugged"))
            tell(WorkerJoined(now_s, "w", case.kind))
    raise AssertionError("the run does not end")


TOOK = st.lists(st.tuples(SECONDS, SHARES), min_size=1, max_size=12)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_two_runs_of_one_seed_are_the_same_whatever_the_slices_took(rule: str) -> None:
    @settings(max_examples=40)
    @given(case=cases(), first=TOOK, second=TOOK)
    def property_holds(
        case: Case,
        first: Sequence[tuple[float, float | None]],
        second: Sequence[tuple[float, float | None]],
    ) -> None:
        make = RULES[rule]
        assert _play(case, make(), first) == _play(case, make(), second)

    property_holds()


@settings(max_examples=60)
@given(case=cases(), took=TOOK)
def test_alone_hrfs_keeps_the_population_in_step_in_the_fewest_slices(
    case: Case, took: Sequence[tuple[float, float | None]]
) -> None:
    """Whole intervals in the order of age, and one more slice that measured the worker."""
    plain = Case(case.trials, case.stop, case.interval, 1, None, case.kind, ())
    told = _play(plain, POLICIES["hrfs"](), took)
    starts = [d for decisions in told for d in decisions if isinstance(d, StartSlice)]
    rounds = -(-case.stop // case.interval)
    whole = max(1, case.interval // 50) == min(case.interval, case.stop)
    assert len(starts) == case.trials * rounds + (not whole)
    boundaries = [-(-(s.from_iteration + s.iterations) // case.interval) for s in starts]
    assert [generation for generation, _ in groupby(boundaries)] == list(range(1, rounds + 1))


def test_hrfs_is_alone_again_when_the_others_have_left() -> None:
    bench = Bench(6, 1000, 50, {"a": 1.0, "b": 0.01, "c": 3.0})
    bench.join("a", "b", "c")
    while bench.scheduler.state.leader < 300:
        bench.step()
    bench.leave("b", "c")
    before = len(bench.starts)
    bench.run()
    alone = bench.starts[before:]
    assert {start.worker for start in alone} == {"a"}
    assert all((s.from_iteration + s.iterations) % 50 == 0 for s in alone)
    assert all(s.reason.startswith("alone, so it takes the trial that lags most") for s in alone)


def test_the_first_of_several_to_join_is_measured_by_a_short_slice() -> None:
    bench = Bench(6, 1000, 100, {"slow": 100.0, "fast": 1.0})
    bench.join("slow")
    assert [start.iterations for start in bench.starts] == [2]
    bench.join("fast")
    bench.run()
    assert all(start.iterations < 100 for start in bench.starts if start.worker == "slow")


def test_alone_a_newcomer_of_a_known_kind_is_measured_too() -> None:
    bench = Bench(4, 1000, 100, {"a": 1.0, "b": 1.0}, kind="cpu")
    bench.join("a")
    while bench.scheduler.state.leader < 200:
        bench.step()
    bench.leave("a")
    bench.join("b")
    assert (bench.starts[-1].worker, bench.starts[-1].iterations) == ("b", 2)
    bench.step()
    assert bench.starts[-1].iterations >= 98
