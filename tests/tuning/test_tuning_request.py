"""The one request of Ray's own PBT: the candidates, the choice, the probe, and where it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import ONE_CPU, Watch, make_plan

from hrfs.experiment.cluster import ClusterSettings, NodeAllocation
from hrfs.experiment.cores import CoreShare
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import RunnerSpec, SchedulerChoice
from hrfs.experiment.records import WorkerInfo
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.request import ProbeFailedError, candidates, choose


def bundle(name: str, kind: str, node: str = "n", **resources: float) -> Bundle:
    amounts = {"cpus": resources.get("CPU", 0.0), "gpus": resources.get("GPU", 0.0)}
    return Bundle(WorkerInfo(name, kind, node, **amounts), node, resources)


LAB = [
    bundle("g0", "gpu:A100", CPU=1, GPU=1),
    bundle("g1", "gpu:V100", CPU=1, GPU=1),
    bundle("c0", "cpu", CPU=12),
    bundle("c1", "cpu", CPU=4),
]
SECONDS = {"g0": 0.02, "g1": 0.04, "c0": 0.05, "c1": 0.2}


def probed(found: Sequence[Bundle]) -> list[float]:
    """Fewer CPUs than the worker has make it slower."""
    return [SECONDS[b.info.name] * (12 / b.info.cpus if b.info.name == "c0" else 1) for b in found]


def test_candidates_are_kinds_and_shapes() -> None:
    found = {c.name: [(b.info.name, b.info.cpus) for b in c.bundles]
             for c in candidates(LAB, "auto", emulated=False)}  # fmt: skip
    assert found == {
        "{CPU: 1, GPU: 1}": [("g0", 1), ("g1", 1)],
        "{CPU: 12}": [("c0", 12)],
        "{CPU: 4}": [("c0", 4), ("c1", 4)],  # the large one answers too, cut down
    }
    assert [c.kind for c in candidates(LAB, "gpu", emulated=False)] == ["gpu"]
    rule = r"scheduler\.request=tpu: no worker is of that kind; there are cpu, gpu; use one of"
    with pytest.raises(ConfigError, match=rule):
        candidates(LAB, "tpu", emulated=False)


def test_workers_that_share_a_gpu_answer_the_request_for_gpus() -> None:
    workers = [bundle(f"g{i}", "gpu:A100/2", CPU=1, GPU=0.5) for i in range(2)]
    (found,) = candidates([*workers, bundle("c", "cpu", CPU=1)], "gpu", emulated=False)
    assert (found.name, found.kind, len(found.bundles)) == ("{CPU: 1, GPU: 0.5}", "gpu", 2)


def test_a_worker_that_is_cut_down_wants_fewer_cores() -> None:
    large, small = (
        replace(worker, share=CoreShare(cpus, ((4, 1), (12, 1))))
        for worker, cpus in ((bundle("l", "cpu", CPU=12), 12), (bundle("s", "cpu", CPU=4), 4))
    )
    found = {c.name: c.bundles for c in candidates([large, small], "auto", emulated=False)}
    assert [b.share and b.share.cpus for b in found["{CPU: 4}"]] == [4, 4]
    assert [b.share for b in found["{CPU: 12}"]] == [large.share]


def test_emulated_workers_are_counted_by_their_kind() -> None:
    workers = [bundle("a", "gpu", CPU=1), bundle("b", "cpu", CPU=1)]
    found = candidates(workers, "auto", emulated=True)
    assert [c.name for c in found] == ["{CPU: 1, emulated_gpu: 1}", "{CPU: 1, emulated_cpu: 1}"]


@pytest.mark.parametrize(
    ("request_", "expected"), [("auto", "{CPU: 1, GPU: 1}"), ("cpu", "{CPU: 12}")]
)
def test_the_least_predicted_makespan_wins(request_: str, expected: str) -> None:
    plan = make_plan(trials=20, stop_iterations=1000, interval_iterations=50)
    choice = choose(plan, candidates(LAB, request_, emulated=False), request_, probed)
    assert choice.chosen.name == expected
    told = choice.to_dict()
    assert (told["chosen"], told["asked"]) == (expected, request_)
    by_name = {c["request"]: c for c in told["candidates"]}
    assert by_name["{CPU: 12}"] == {
        "request": "{CPU: 12}", "kind": "cpu", "workers": 1, "failed": None,
        "iterations_per_s": pytest.approx(20.0), "predicted_makespan_s": pytest.approx(1000.0),
    }  # fmt: skip
    assert "{CPU: 4} " in choice.told
    assert choice.told.startswith(f"{expected} on ")


def test_one_candidate_needs_no_probe() -> None:
    def never(found: Sequence[Bundle]) -> list[float]:
        raise AssertionError

    choice = choose(make_plan(), candidates(LAB, "gpu", emulated=False), "gpu", never)
    assert choice.told == "{CPU: 1, GPU: 1} on 2 gpu workers"
    (only,) = choice.to_dict()["candidates"]
    assert (only["workers"], only["predicted_makespan_s"]) == (2, None)


def test_a_candidate_that_cannot_train_is_out() -> None:
    def probe(found: Sequence[Bundle]) -> list[float]:
        if found[0].info.kind.startswith("gpu"):
            raise ProbeFailedError("out of memory")
        return probed(found)

    choice = choose(make_plan(), candidates(LAB, "auto", emulated=False), "auto", probe)
    assert choice.chosen.kind == "cpu"
    assert "{CPU: 1, GPU: 1} out of memory" in choice.told

    def none(found: Sequence[Bundle]) -> list[float]:
        raise ProbeFailedError("out of memory")

    with pytest.raises(ConfigError, match=r"scheduler\.request=auto: no worker could do a probe"):
        choose(make_plan(), candidates(LAB, "auto", emulated=False), "auto", none)


def test_room_beyond_the_workers_is_known() -> None:
    from hrfs.tuning.request_places import surplus

    gpu, small, large = candidates(LAB, "auto", emulated=False)
    assert (small.name, large.name) == ("{CPU: 4}", "{CPU: 12}")
    node = {"n": {"CPU": 30.0, "GPU": 2.0}}
    assert surplus(gpu, node) == {}
    assert surplus(large, node) == {"n": 1}
    assert surplus(small, node) == {"n": 5}


def test_a_timed_slice_is_short_and_never_empty() -> None:
    from hrfs.tuning.request_probe import timed_iterations

    assert timed_iterations(0.01, interval=50) == 50
    assert timed_iterations(0.1, interval=50) == 20
    assert timed_iterations(30.0, interval=50) == 3
    assert timed_iterations(0.0, interval=50) == 50


# On real nodes

UNLIKE = ClusterSettings(
    mode="address",
    allocation={"fast": NodeAllocation(cpus_per_worker=2), "slow": ONE_CPU, "middle": ONE_CPU},
    default_allocation=None,
)
"""Requests: {CPU: 2} on one node, {CPU: 1} on three."""


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(("two_s", "chosen"), [(0.002, {"fast/cpu:0"}), (0.02, None)])
def test_the_probe_finds_the_faster_group(
    ray_cluster: Any, tmp_path: Path, two_s: float, chosen: set[str] | None
) -> None:
    """One worker of 2 CPUs against three of 1: at 0.002 and 0.02 s, and 0.02 s each, a step."""
    from hrfs.tuning.run import run_experiment

    log = tmp_path / "log"
    settings = {"log": str(log), "seconds_by_cpus": {1.0: 0.02, 2.0: two_s}}
    plan, watch = make_plan(trials=4, stop_iterations=20, interval_iterations=10), Watch()
    runner = RunnerSpec("paced_toys:build_paced", settings)
    cluster = replace(UNLIKE, address=ray_cluster.address)
    outcome = run_experiment(
        plan, SchedulerChoice("ray_pbt"), cluster, runner, tmp_path / "out", [watch]
    )
    assert outcome.status == "finished"
    assert outcome.request is not None
    assert outcome.request["chosen"] == ("{CPU: 2}" if chosen else "{CPU: 1}")
    assessed = {c["request"]: c for c in outcome.request["candidates"]}
    assert assessed["{CPU: 2}"]["iterations_per_s"] == pytest.approx(1 / two_s, rel=0.4)
    assert assessed["{CPU: 1}"]["workers"] == 3
    used = {record.worker for record in watch.slices}
    assert used <= (chosen or {"fast/cpu:0", "middle/cpu:0", "slow/cpu:0"})
    assert {w.name for w in watch.workers} == {"fast/cpu:0", "middle/cpu:0", "slow/cpu:0"}
    # Nobody trained where no worker is, and the probes are in no trial.
    assert watch.failures == []
    assert all(r.start_s >= 0 for r in watch.slices)
    probes = [line.split()[2] for line in log.read_text().splitlines()][: -len(watch.slices)]
    assert len(probes) == 2 * 4  # two slices on each of four unlike workers
    assert {record.slice for record in watch.slices} == set(range(len(watch.slices)))
    ends = {r.trial: r.to_iteration for r in watch.slices}
    assert set(ends.values()) == {20}
    state = next((tmp_path / "out").rglob("state.ckpt")).read_text()
    assert float(state) <= 20 * 2.0  # lr at most 2.0: a probe's iterations would come on top


@pytest.mark.ray
def test_what_goes_wrong_in_a_probe_is_told(ray_cluster: Any, tmp_path: Path) -> None:
    from hrfs.tuning.pool import WorkerPool
    from hrfs.tuning.request_probe import RunnerProbe

    settings = {"log": str(tmp_path / "log"), "seconds_by_cpus": {1.0: 0.001, 2.0: 0.001}}
    small, large = sorted(WorkerPool(UNLIKE).discover(), key=lambda b: b.info.cpus)[1:]

    def probe(**fault: float) -> RunnerProbe:
        runner = RunnerSpec("paced_toys:build_paced", settings | fault)
        return RunnerProbe(make_plan(), runner, emulated=False, start_within_s=60)

    with pytest.raises(ProbeFailedError, match=r"^MemoryError: planted: too large"):
        probe(fails_on=2.0)([large])
    with pytest.raises(ConfigError, match=r"^model\.width=3: must be even$"):
        probe(refuses_on=2.0)([large, small])


@pytest.mark.ray
def test_the_target_ends_a_run_if_it_is_to(ray_cluster: Any, tmp_path: Path) -> None:
    from hrfs.tuning.run import run_experiment

    plan = make_plan(trials=6, stop_iterations=400, target_score=5.0, stop_on_target=True)
    watch = Watch()
    nodes = replace(UNLIKE, address=ray_cluster.address, allocation={"fast": ONE_CPU})
    runner = RunnerSpec("toys:build_adder", {"seconds": 0.001})
    outcome = run_experiment(plan, SchedulerChoice("ray_pbt"), nodes, runner, tmp_path, [watch])
    assert outcome.status == "finished"
    assert max(r.score for r in watch.slices) >= 5.0
    assert sum(r.iterations for r in watch.slices) < 6 * 400
    assert outcome.request is not None
    assert outcome.request["candidates"][0]["predicted_makespan_s"] is None  # there was no choice
