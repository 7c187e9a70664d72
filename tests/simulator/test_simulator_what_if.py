"""Changes of a cluster, as they are typed."""

from __future__ import annotations

import dataclasses

import pytest

from hrfs.experiment.errors import ConfigError
from hrfs.simulator.policies import NAMES
from hrfs.simulator.rules import check
from hrfs.simulator.spec import SimulatedWorker, Workload
from hrfs.simulator.what_if import MOST, Scenario, changed

BASE = Scenario(
    "replayed",
    Workload(
        trials=3,
        stop_iteration=60,
        interval=20,
        workers=(
            SimulatedWorker(
                "h/gpu:0", 0.1, 0.3, "gpu:A100", speed_changes=((0.0, 2.0), (1.0, 1.0))
            ),
            SimulatedWorker("cpu-0", 0.4, 0.1, "cpu"),
            SimulatedWorker("cpu-1", 0.6, 0.2, "cpu", joins_at_s=3.0, leaves_at_s=9.0),
            SimulatedWorker("cpu-2", 0.5, 0.2, "cpu", joins_at_s=4.0, leaves_at_s=8.0),
        ),
        work_factor=(1.0, 2.0, 3.0),
    ),
    "hrfs",
)


def apply(changes: str) -> Scenario:
    return changed(BASE, changes, NAMES)


def names(changes: str) -> list[str]:
    return [worker.name for worker in apply(changes).workload.workers]


def test_workers_go_by_name_and_by_kind_the_slowest_first() -> None:
    assert names("-h/gpu:0") == ["cpu-0", "cpu-1", "cpu-2"]
    assert names("-1:cpu") == ["h/gpu:0", "cpu-0", "cpu-2"]
    assert names("-2:cpu") == ["h/gpu:0", "cpu-0"]
    assert names("-1:gpu:A100,-cpu-1, -cpu-2") == ["cpu-0"]


def test_gpu_stands_for_all_kinds_of_gpus() -> None:
    half = dataclasses.replace(
        BASE.workload.workers[0], name="h/gpu:1", kind="gpu/2", slice_overhead_s=0.9
    )
    workers = (*BASE.workload.workers, half)
    base = dataclasses.replace(BASE, workload=dataclasses.replace(BASE.workload, workers=workers))
    left = changed(base, "-2:gpu", NAMES).workload.workers
    assert [worker.kind for worker in left] == ["cpu"] * 3
    left = changed(base, "-1:gpu/2", NAMES).workload.workers
    assert left == BASE.workload.workers


def test_new_workers_are_like_the_middle_one_of_their_kind_and_stay() -> None:
    *old, one, two = apply("+2:cpu").workload.workers
    assert tuple(old) == BASE.workload.workers
    assert (one.name, two.name) == ("cpu+1", "cpu+2")
    for worker in (one, two):
        assert (worker.seconds_per_iteration, worker.slice_overhead_s) == (0.5, 0.2)
        assert (worker.joins_at_s, worker.leaves_at_s, worker.kind) == (4.0, None, "cpu")
    *_, fresh = apply("+1:gpu:A100").workload.workers
    assert fresh.speed_changes == BASE.workload.workers[0].speed_changes
    assert len(set(names("+1:cpu,+2:cpu"))) == 7


def test_a_kind_goes_by_its_first_part_unless_a_worker_is_just_that() -> None:
    assert names("-1:gpu") == ["cpu-0", "cpu-1", "cpu-2"]
    assert names("+1:gpu")[-1] == "gpu:A100+1"
    plain = SimulatedWorker("plain", 0.2, 0.1, "gpu")
    workers = (*BASE.workload.workers, plain)
    both = dataclasses.replace(BASE, workload=dataclasses.replace(BASE.workload, workers=workers))
    assert changed(both, "-1:gpu", NAMES).workload.workers == BASE.workload.workers


def test_population_and_scheduler() -> None:
    grown = apply("population=7").workload
    assert (grown.trials, grown.work_factor) == (7, (1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0))
    assert apply("population=2").workload.work_factor == (1.0, 2.0)
    other = apply("scheduler=static")
    assert (other.scheduler, other.workload) == ("static", BASE.workload)


def test_population_is_the_size_of_each_population() -> None:
    factors = (1.0, 2.0, 3.0, 4.0)
    workload = dataclasses.replace(
        BASE.workload, trials=2, seeds=(5, 6), work_factor=factors, kind_factors={}
    )
    found = changed(dataclasses.replace(BASE, workload=workload), "population=3", NAMES).workload
    assert (found.trials, found.all_trials, found.seeds) == (3, 6, (5, 6))
    assert found.work_factor == (1.0, 2.0, 1.0, 3.0, 4.0, 3.0)
    assert check(found) is None


def test_changes_go_together_from_left_to_right() -> None:
    text = "-cpu-0,+1:cpu,population=5,scheduler=greedy"
    found = apply(text)
    assert (found.title, found.scheduler, found.workload.trials) == (text, "greedy", 5)
    assert names(text) == ["h/gpu:0", "cpu-1", "cpu-2", "cpu+1"]
    # cpu-0, the fastest, was gone when its kind was looked at
    assert found.workload.workers[-1].seconds_per_iteration == 0.5
    assert apply("-2:cpu,+1:cpu").workload.workers[-1].seconds_per_iteration == 0.4


FORMS = "there are -NAME, -N:KIND, +N:KIND, population=N or scheduler=NAME; separate them by commas"
ALL = "there are: h/gpu:0, cpu-0, cpu-1, cpu-2"
NUMBER = f"must be a number of workers from 1 to {MOST}"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ("-cpu-7", f"-cpu-7: there is no worker of this name; {ALL}; did you mean cpu-2?"),
        ("-zzz", f"-zzz: there is no worker of this name; {ALL}"),
        ("-cpu-0,-cpu-0", "-cpu-0: there is no worker of this name; there are: h/gpu:0, cpu-1, "
         "cpu-2; did you mean cpu-2?"),
        ("+2:tpu", "+2:tpu: no worker is of this kind; there are: cpu, gpu:A100; "
         "did you mean cpu?"),
        ("-1:gpu:A10", "-1:gpu:A10: no worker is of this kind; there are: cpu, gpu:A100; "
         "did you mean gpu:A100?"),
        ("+0:cpu", f"+0:cpu: {NUMBER}"),
        ("+9999999:cpu", f"+9999999:cpu: {NUMBER}"),
        ("-4:cpu", "-4:cpu: there are only 3 workers of this kind"),
        ("-3:cpu,-h/gpu:0", "-3:cpu,-h/gpu:0: no worker is left; leave one"),
        ("population=0", f"population=0: must be a whole number from 1 to {MOST}"),
        ("population=4.5", f"population=4.5: must be a whole number from 1 to {MOST}"),
        ("population=", f"population=: must be a whole number from 1 to {MOST}"),
        ("scheduler=statc", f"scheduler=statc: must be one of {', '.join(NAMES)}; "
         "did you mean static?"),
        ("2:cpu", f"2:cpu: is no change; {FORMS}"),
        ("", f": is no change; {FORMS}"),
        ("-cpu-0,", f": is no change; {FORMS}"),
        ("speed=2", f"speed=2: is no change; {FORMS}"),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_is_told_in_one_line(changes: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        apply(changes)
    assert str(caught.value) == f"what_if={line}"
