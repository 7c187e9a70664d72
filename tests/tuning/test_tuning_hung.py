"""Processes that hang without dying, and workers that become slow, in the middle of a run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import check_nothing_lost, check_replay, check_states, make_plan, named

from hrfs.core.pbt import PbtSettings

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RunCounter = Callable[..., Any]
ALONE = PbtSettings(quantile=0.0)
"""No exploits."""
STARTS_S = 90.0
"""A process may take so long to start where many tests share the machine."""


def planted(tmp_path: Path, **fault: Any) -> dict[str, Any]:
    """Config of a fault, see :class:`faulty_toys.Faulty`."""
    markers = tmp_path / "markers"
    markers.mkdir()
    return {"planted": {"markers": str(markers), **fault}, "seconds": 0.01}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        ("stop", "train"),
        pytest.param("sleep", "save", marks=pytest.mark.soak),
        ("stop", "reset"),
    ],
)
def test_a_hung_process_is_killed_and_its_slice_done_elsewhere(
    run_counter: RunCounter,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    stage: str,
) -> None:
    from faulty_toys import Faulty

    plan = make_plan(stop_iterations=200, interval_iterations=20, pbt=ALONE)
    cluster = named("fast", "middle", hung_least_s=3.0, hung_unknown_s=STARTS_S)
    with caplog.at_level(logging.WARNING, "hrfs"):
        scheduler, watch, _ = run_counter(
            plan,
            cluster,
            trainable=Faulty,
            constants=planted(tmp_path, kind=kind, stage=stage, after=4),
        )
    check_nothing_lost(watch, plan, most_lost=1)
    check_states(scheduler, plan)
    check_replay(scheduler, plan, tmp_path)
    (failure,) = watch.failures
    assert failure.kind == "worker hung"
    assert failure.reason.startswith("it hangs: not done within 3 s, where at most ")
    assert watch.left == [failure.worker]
    assert f"worker {failure.worker} hangs: it stays out for 3 s" in caplog.text
    again = next(s for s in watch.started if s.trial == failure.trial and s.slice > failure.slice)
    assert again.worker != failure.worker


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_worker_that_became_slow_is_found_to_be_slow_and_used_as_such(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    from faulty_toys import Tiring

    markers = tmp_path / "markers"
    markers.mkdir()
    plan = make_plan(stop_iterations=400, interval_iterations=40, pbt=ALONE)
    constants = {"on": "middle/cpu:0", "after": 4, "slower": 20, "markers": str(markers)}
    scheduler, watch, _ = run_counter(
        plan,
        named("middle", "slow", hung_least_s=4.0, hung_unknown_s=STARTS_S),
        trainable=Tiring,
        constants={**constants, "seconds": 0.03},
        policy="hrfs",
    )
    check_nothing_lost(watch, plan, most_lost=2)
    check_states(scheduler, plan)
    check_replay(scheduler, plan, tmp_path, policy="hrfs")
    assert {failure.kind for failure in watch.failures} == {"worker hung"}
    assert {failure.worker for failure in watch.failures} == {"middle/cpu:0"}
    last = max(failure.slice for failure in watch.failures if failure.slice is not None)
    later = [r for r in watch.slices if r.worker == "middle/cpu:0" and r.slice > last]
    assert later, "it is used again"
    usual = max(r.iterations for r in watch.slices if r.worker == "slow/cpu:0")
    assert all(r.iterations < usual for r in later), "for short slices"
    estimate = scheduler.core.snapshot(scheduler.now_s).speeds.estimate("middle/cpu:0")
    assert estimate.seconds_per_iteration == pytest.approx(0.6, rel=0.3)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_worker_on_which_everything_fails_is_to_blame_and_no_trial_is(
    run_counter: RunCounter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from faulty_toys import Faulty

    plan = make_plan(stop_iterations=400, interval_iterations=40, pbt=ALONE)
    cluster = named("middle", "slow", hung_least_s=STARTS_S)
    with caplog.at_level(logging.INFO, "hrfs"):
        scheduler, watch, _ = run_counter(
            plan,
            cluster,
            trainable=Faulty,
            constants=planted(tmp_path, kind="raise", stage="train", on="slow/cpu:0", times=None),
            max_failures=1,
        )
    check_nothing_lost(watch, plan, most_lost=2)
    check_states(scheduler, plan)
    check_replay(scheduler, plan, tmp_path)
    assert {failure.worker for failure in watch.failures} == {"slow/cpu:0"}
    assert watch.left == ["slow/cpu:0"]
    assert (
        "worker slow/cpu:0 is to blame and taken out for 600 s: its last 2 slices failed, and "
        "their trials went on elsewhere; they are not charged"
    ) in caplog.text
    assert not any(scheduler._context.memory.own_failures.values())
