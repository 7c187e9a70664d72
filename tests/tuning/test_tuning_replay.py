"""A real run and what is made of it in virtual time agree, also on another cluster."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import Watch, make_plan, named
from toys import Throttled

from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord
from hrfs.reporting.figures import window_s
from hrfs.reporting.slices_write import encode_slices
from hrfs.simulator.driver import play
from hrfs.simulator.policies import NAMES, policy_for
from hrfs.simulator.replay import workload_from_run
from hrfs.simulator.spec import Workload
from hrfs.simulator.what_if import Scenario, changed

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SECONDS = {"fast/cpu:0": 0.005, "fast/cpu:1": 0.01, "middle/cpu:0": 0.02, "slow/cpu:0": 0.05}
"""Of an iteration on each worker."""
EVALUATE_S = 0.05
WITHIN = 0.05


def run(folder: Path, plan: Plan, nodes: Sequence[str]) -> list[SliceRecord]:
    """Train with real Ray workers, throttled to unlike speeds, under the policy ``hrfs``."""
    from hrfs.tuning.population import fit_population, make_run_config
    from hrfs.tuning.resume import StateCallback
    from hrfs.tuning.scheduler import HRFSScheduler

    watch = Watch()
    scheduler = HRFSScheduler(plan, "hrfs", named(*nodes), [watch])
    constants = {"seconds_on": SECONDS, "evaluate_s": EVALUATE_S}
    callbacks = [StateCallback(scheduler)]
    fit_population(Throttled, plan, constants, scheduler, make_run_config(folder, callbacks))
    assert watch.iterations() == dict.fromkeys(range(plan.trials), plan.stop_iterations)
    assert not watch.failures
    return watch.slices


def as_run_folder(folder: Path, plan: Plan, records: Sequence[SliceRecord]) -> Path:
    """What ``python -m hrfs`` would have left of the run."""
    folder.mkdir()
    (folder / "slices.csv").write_bytes(b"".join(encode_slices(records)))
    config = {
        "seed": plan.seeds[0],
        "population": {
            "size": plan.trials,
            "stop_iterations": plan.stop_iterations,
            "interval_iterations": plan.interval_iterations,
        },
        "scheduler": {"policy": "hrfs"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def makespan_s(records: Sequence[SliceRecord]) -> float:
    begin_s, end_s = window_s(records)
    return end_s - begin_s


@pytest.mark.soak
def test_a_run_agrees_with_its_replay_and_foretells_the_run_without_a_worker(
    ray_cluster: Any, tmp_path: Path
) -> None:
    plan = make_plan(trials=12, stop_iterations=700, interval_iterations=50)
    records = run(tmp_path / "all", plan, ["fast", "middle", "slow"])
    assert {record.worker for record in records} == set(SECONDS)

    workload = workload_from_run(records, 12, 700, 50)
    for worker in workload.workers:
        planted_s = SECONDS[worker.name]
        assert worker.seconds_per_iteration == pytest.approx(planted_s, rel=WITHIN)
        assert EVALUATE_S <= worker.slice_overhead_s <= 4 * EVALUATE_S

    folder = as_run_folder(tmp_path / "run", plan, records)
    # In a process of its own: Ray may print to this one's output at any moment.
    command = [sys.executable, "-m", "hrfs.simulate", f"workload=from_run:{folder}", "format=json"]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    real, replayed = json.loads(told.stdout)["rows"]
    assert real["makespan_s"] == makespan_s(records)
    assert replayed["makespan_s"] == pytest.approx(real["makespan_s"], rel=WITHIN)

    records = run(tmp_path / "without", plan, ["fast", "slow"])
    foretold_s = foretell(workload, "-middle/cpu:0", ready=workload_from_run(records, 12, 700, 50))
    assert foretold_s == pytest.approx(makespan_s(records), rel=WITHIN)


def foretell(workload: Workload, changes: str, ready: Workload) -> float:
    """Makespan after the changes, with processes that start when those of ``ready`` did.

    On a busy machine some take seconds longer than others, unlike ones in each run.
    """
    smaller = changed(Scenario("replayed", workload, "hrfs"), changes, NAMES).workload
    joins_s = {worker.name: worker.joins_at_s for worker in ready.workers}
    workers = tuple(
        dataclasses.replace(worker, joins_at_s=joins_s[worker.name], speed_changes=())
        for worker in smaller.workers
    )
    again = dataclasses.replace(smaller, workers=workers)
    return play(again, policy_for("hrfs", again)).makespan_s
