"""Training that goes wrong in real processes: the run goes on, and says what happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failing_toys import FAULTS, KINDS, Failing
from harness import Watch, make_plan, named
from ray_nodes import add_node

from hrfs.experiment.event_log import EVENTS_NAME, parse_log
from hrfs.experiment.event_replay import rebuild

pytestmark = pytest.mark.ray

RunCounter = Callable[..., Any]


@pytest.mark.slow
def test_each_kind_of_failure_is_told_and_costs_its_slice(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    plan = make_plan(trials=len(FAULTS))
    _, watch, _ = run_counter(
        plan, named("fast"), trainable=Failing, constants={"markers": str(tmp_path)}
    )
    assert watch.iterations() == dict.fromkeys(range(plan.trials), 60)
    assert {f.trial: f.kind for f in watch.failures} == dict(enumerate(KINDS))
    reasons = {f.trial: f.reason for f in watch.failures}
    assert reasons[0] == "ValueError: shapes differ"
    # Tune copies what is raised, which this one does not survive: both are told.
    assert "PickyError" in reasons[2]
    assert any("PickyError: hard to carry" in f.traceback for f in watch.failures)
    for failure in watch.failures:
        first = next(line for line in failure.traceback.splitlines() if "File" in line)
        assert "failing_toys.py" in first

    (file,) = tmp_path.rglob(EVENTS_NAME)
    replayed, root = Watch(), str(file.parent)
    rebuild(parse_log(file.read_bytes(), str(file), root), root, plan, "hrfs_paper", None, replayed)
    assert [(f.slice, f.kind) for f in replayed.failures] == [
        (f.slice, f.kind) for f in watch.failures
    ]


@pytest.mark.slow
def test_a_node_whose_memory_is_full_ends_no_run_in_a_traceback(
    ray_cluster: Any, run_counter: RunCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ray's own monitor, told that this node's memory is full from the beginning: whatever runs
    # there is killed. Tune itself ends an experiment in a RuntimeError then.
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    node = add_node(ray_cluster, "full", 1)
    for name in ("RAY_memory_usage_threshold", "RAY_memory_monitor_refresh_ms"):
        monkeypatch.delenv(name)
    ray_cluster.wait_for_nodes()
    try:
        scheduler, watch, _ = run_counter(
            make_plan(trials=1), named("full", wait_s=10.0), constants={"seconds": 1.0}
        )
    finally:
        ray_cluster.remove_node(node)
    assert {failure.kind for failure in watch.failures} == {"out of host memory"}
    assert "dataset.batch_size" in watch.failures[0].reason
    # Nor does a probe of the node live there: it stays out until nobody waits for it any more.
    assert scheduler.gave_up is not None
