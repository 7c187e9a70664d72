"""Specs: what is read, and the one line that each fault is told in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hrfs.experiment.errors import ConfigError
from hrfs.simulator.spec import LearningCurve, LearningRate, Link, SimulatedWorker, Workload

Plain = dict[str, Any]


def plain_spec(**changes: Any) -> Plain:
    spec: Plain = {
        "trials": 2,
        "stop_iteration": 100,
        "interval": 50,
        "workers": [
            {"name": "a", "seconds_per_iteration": 0.5},
            {"name": "b", "kind": "gpu", "seconds_per_iteration": 0.1},
        ],
    }
    return spec | changes


def with_worker(**changes: Any) -> Plain:
    spec = plain_spec()
    spec["workers"][1] |= changes
    return spec


def without(*keys: str | int) -> Plain:
    spec = plain_spec()
    inner: Any = spec
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return spec


def test_what_a_spec_leaves_out_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(plain_spec()))
    workers = (SimulatedWorker("a", 0.5), SimulatedWorker("b", 0.1, kind="gpu"))
    assert Workload.read(path) == Workload(2, 100, 50, workers)
    bare = Workload.read(path)
    assert (bare.migration_s, bare.duration_factors, bare.noise_sigma) == (0.0, (1.0,), 0.0)
    assert (bare.workers[0].slice_overhead_s, bare.workers[0].kind) == (0.0, "")


def test_every_key_is_read_as_written() -> None:
    plain = plain_spec(
        seed=7,
        seeds=[3, 0],
        noise_sigma=0.1,
        work_factor=[1, 2.5],
        kind_factors={"gpu": [1.0, 3.0]},
        checkpoint_bytes=1e9,
        link_bytes_per_s=1e8,
        links=[{"between": ["a", "b"], "bytes_per_s": 5e8}],
        target_score=0.8,
        stop_on_target=True,
        curve={
            "half_lives_iterations": [100, 200],
            "start": 0.1,
            "ceilings": [0.9],
            "noise": 0.01,
            "learning_rate": {"low": 0.001, "high": 1, "best": 0.1, "half_width_decades": 2},
        },
    )
    plain["workers"][0] |= {
        "slice_overhead_s": 0.1,
        "kind": "gpu:T4",
        "joins_at_s": 3,
        "leaves_at_s": 9.5,
        "fails_probability": 0.05,
        "speed_changes": [[10, 2], [20, 1.5]],
        "link_bytes_per_s": 1e7,
    }
    assert Workload.from_mapping(plain) == Workload(
        trials=2,
        stop_iteration=100,
        interval=50,
        workers=(
            SimulatedWorker(
                "a", 0.5, 0.1, "gpu:T4", 3.0, 9.5, 0.05, ((10.0, 2.0), (20.0, 1.5)), 1e7
            ),
            SimulatedWorker("b", 0.1, kind="gpu"),
        ),
        seed=7,
        seeds=(3, 0),
        noise_sigma=0.1,
        work_factor=(1.0, 2.5),
        kind_factors={"gpu": (1.0, 3.0)},
        checkpoint_bytes=1e9,
        link_bytes_per_s=1e8,
        links=(Link(("a", "b"), 5e8),),
        curve=LearningCurve((100.0, 200.0), 0.1, (0.9,), 0.01, LearningRate(0.001, 1.0, 0.1, 2.0)),
        target_score=0.8,
        stop_on_target=True,
    )


BAD: list[tuple[Callable[[], Plain], str]] = [
    (lambda: without("trials"), "trials=???: must be given"),
    (lambda: without("workers"), "workers=???: must be given"),
    (
        lambda: without("workers", 1, "seconds_per_iteration"),
        "workers[1].seconds_per_iteration=???: must be given",
    ),
    (lambda: without("workers", 0, "name"), "workers[0].name=???: must be given"),
    (lambda: plain_spec(trials=0), "trials=0: must be at least 1"),
    (lambda: plain_spec(trials=-3), "trials=-3: must be at least 1"),
    (lambda: plain_spec(trials=1.5), "trials=1.5: must be a whole number"),
    (lambda: plain_spec(trials="2"), 'trials="2": must be a whole number'),
    (lambda: plain_spec(trials=True), "trials=true: must be a whole number"),
    (lambda: plain_spec(trials=None), "trials=null: must be a whole number"),
    (lambda: plain_spec(interval=0), "interval=0: must be at least 1"),
    (lambda: plain_spec(interval=101), "interval=101: must be at most stop_iteration=100"),
    (lambda: plain_spec(workers=[]), "workers=[]: must list at least 1"),
    (lambda: plain_spec(workers={}), "workers={}: must be a list"),
    (lambda: plain_spec(workers=[3]), "workers[0]=3: must be an object, {...}"),
    (lambda: plain_spec(migration_s=-1), "migration_s=-1: must be at least 0"),
    (lambda: plain_spec(migration_s=float("nan")), "migration_s=NaN: must be a finite number"),
    (lambda: plain_spec(duration_factors=[]), "duration_factors=[]: must list at least 1"),
    (
        lambda: plain_spec(duration_factors=[1, 0]),
        "duration_factors[1]=0: must be above 0",
    ),
    (lambda: plain_spec(seed=-1), "seed=-1: must be at least 0"),
    (lambda: plain_spec(trial=2), "trial=2: there is no such key; did you mean trials?"),
    (
        lambda: plain_spec(zzz=[1] * 99),
        "zzz=[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1…: there is no such key; "
        "there are: checkpoint_bytes, curve, duration_factors, interval, kind_factors, "
        "link_bytes_per_s, links, migration_s, noise_sigma, seed, seeds, stop_iteration, "
        "stop_on_target, target_score, trials, work_factor, workers",
    ),
    (
        lambda: with_worker(leave_at_s=2),
        "workers[1].leave_at_s=2: there is no such key; did you mean leaves_at_s?",
    ),
    (
        lambda: with_worker(seconds_per_iteration=0),
        "workers[1].seconds_per_iteration=0: must be above 0",
    ),
    (
        lambda: with_worker(seconds_per_iteration=-2.5),
        "workers[1].seconds_per_iteration=-2.5: must be above 0",
    ),
    (
        lambda: with_worker(seconds_per_iteration=float("nan")),
        "workers[1].seconds_per_iteration=NaN: must be a finite number",
    ),
    (
        lambda: with_worker(seconds_per_iteration=float("inf")),
        "workers[1].seconds_per_iteration=Infinity: must be a finite number",
    ),
    (
        lambda: with_worker(seconds_per_iteration="1"),
        'workers[1].seconds_per_iteration="1": must be a number',
    ),
    (
        lambda: with_worker(slice_overhead_s=-0.1),
        "workers[1].slice_overhead_s=-0.1: must be at least 0",
    ),
    (lambda: with_worker(name=""), 'workers[1].name="": must not be empty'),
    (lambda: with_worker(name=4), "workers[1].name=4: must be text"),
    (
        lambda: with_worker(name="b\nc"),
        r"workers[1].name='b\nc': must be printable, on one line",
    ),
    (
        lambda: with_worker(name="a"),
        "workers[0].name=a: 2 workers have this name; give each its own",
    ),
    (lambda: with_worker(fails_probability=1), "workers[1].fails_probability=1: must be below 1"),
    (
        lambda: with_worker(fails_probability=-0.5),
        "workers[1].fails_probability=-0.5: must be at least 0",
    ),
    (
        lambda: with_worker(joins_at_s=5, leaves_at_s=5),
        "workers[1].leaves_at_s=5: must be later than joins_at_s=5",
    ),
    (
        lambda: with_worker(speed_changes=[[5, 2], [5, 1]]),
        "workers[1].speed_changes[1][0]=5: must be later than the change before it, 5",
    ),
    (
        lambda: with_worker(speed_changes=[[5]]),
        "workers[1].speed_changes[0][1]=???: must be given",
    ),
    (
        lambda: with_worker(speed_changes=[[5, 1, 2]]),
        "workers[1].speed_changes[0]=[5, 1, 2]: must list at most 2",
    ),
    (
        lambda: plain_spec(noise_sigma=0.1, duration_factors=[1.0, 2.0]),
        "duration_factors=2 numbers: must be absent where noise_sigma is given; "
        "leave out one of the two",
    ),
    (
        lambda: plain_spec(work_factor=[1, 2, 3]),
        "work_factor=3 numbers: must be one for each of the 2 trials",
    ),
    (
        lambda: plain_spec(kind_factors={"gpu": [1]}),
        "kind_factors.gpu=1 numbers: must be one for each of the 2 trials",
    ),
    (
        lambda: plain_spec(kind_factors={"tpu": [1, 1]}),
        "kind_factors=tpu: no worker is of this kind; there are: gpu",
    ),
    (
        lambda: plain_spec(kind_factors=[1]),
        "kind_factors=[1]: must be an object, {...}",
    ),
    (
        lambda: plain_spec(kind_factors={"gpu": [1, -1]}),
        "kind_factors.gpu[1]=-1: must be above 0",
    ),
    (
        lambda: plain_spec(checkpoint_bytes=10),
        "workers[0].link_bytes_per_s=???: must be given where checkpoint_bytes is; "
        "or give link_bytes_per_s for all workers",
    ),
    (
        lambda: plain_spec(checkpoint_bytes=10, link_bytes_per_s=1, migration_s=2),
        "migration_s=2: must be absent where checkpoint_bytes is given; leave out one",
    ),
    (
        lambda: plain_spec(link_bytes_per_s=10),
        "link_bytes_per_s=10: needs checkpoint_bytes; add it",
    ),
    (
        lambda: with_worker(link_bytes_per_s=10),
        "workers[1].link_bytes_per_s=10: needs checkpoint_bytes; add it",
    ),
    (
        lambda: plain_spec(links=[{"between": ["a", "b"], "bytes_per_s": 1}]),
        "links=1: needs checkpoint_bytes; add it",
    ),
    *(
        (
            lambda names=names: plain_spec(
                checkpoint_bytes=1,
                link_bytes_per_s=1,
                links=[{"between": pair, "bytes_per_s": 1} for pair in names],
            ),
            line,
        )
        for names, line in (
            ([["a", "c"]], "links[0].between=c: there is no worker of this name"),
            ([["a", "a"]], "links[0].between=a and a: must be two workers"),
            ([["a", "b"], ["b", "a"]], "links[1].between=b and a: is given twice"),
        )
    ),
    (lambda: plain_spec(seeds=[]), "seeds=[]: must list at least 1"),
    (lambda: plain_spec(seeds=3), "seeds=3: must be a list"),
    (lambda: plain_spec(seeds=[0, -1]), "seeds[1]=-1: must be at least 0"),
    (lambda: plain_spec(seeds=[0, 0.5]), "seeds[1]=0.5: must be a whole number"),
    (lambda: plain_spec(seeds=[0, True]), "seeds[1]=true: must be a whole number"),
    (
        lambda: plain_spec(seeds=[4, 1, 4]),
        "seeds=[4, 1, 4]: names seed 4 2 times; its populations would be alike, leave it once",
    ),
    (
        lambda: plain_spec(seeds=[0, 1], work_factor=[1, 1, 1]),
        "work_factor=3 numbers: must be one for each of the 2 trials of a population, "
        "or of the 4 trials of all",
    ),
    (
        lambda: plain_spec(seeds=[0, 1], kind_factors={"gpu": [1]}),
        "kind_factors.gpu=1 numbers: must be one for each of the 2 trials of a population, "
        "or of the 4 trials of all",
    ),
    (lambda: plain_spec(target_score=0.8), "target_score=0.8: needs a curve; add it"),
    (
        lambda: plain_spec(curve={"half_lives_iterations": [9]}, stop_on_target=True),
        "stop_on_target=true: needs a target_score; add it",
    ),
    (
        lambda: plain_spec(stop_on_target=1, target_score=1),
        "stop_on_target=1: must be true or false",
    ),
    (lambda: plain_spec(curve={}), "curve.half_lives_iterations=???: must be given"),
    (lambda: plain_spec(curve=[]), "curve=[]: must be an object, {...}"),
    (
        lambda: plain_spec(curve={"half_lives_iterations": [0]}),
        "curve.half_lives_iterations[0]=0: must be above 0",
    ),
    (
        lambda: plain_spec(curve={"half_lives_iterations": [1], "nose": 1}),
        "curve.nose=1: there is no such key; did you mean noise?",
    ),
    (
        lambda: plain_spec(
            curve={
                "half_lives_iterations": [1],
                "learning_rate": {"low": 2, "high": 1, "best": 1},
            }
        ),
        "curve.learning_rate.low=2: must be at most high=1",
    ),
]


@pytest.mark.parametrize(("make", "line"), BAD, ids=[line for _, line in BAD])
def test_a_bad_spec_is_told_in_one_line(make: Callable[[], Plain], line: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
        Workload.from_mapping(make())


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "is no JSON: Expecting value (line 1, column 1)"),
        (b"trials: 3\n", "is no JSON: Expecting value (line 1, column 1)"),
        (b'{"trials": 3,\n}', "is no JSON: "),
        (b"\xff\xfe", "is no JSON: not UTF-8 text; give a spec"),
        (b"[" * 100_000, "is no JSON that can be read: "),
        (b"[]", "must hold one JSON object, {...}"),
        (b'"trials"', "must hold one JSON object, {...}"),
    ],
)
def test_a_file_that_is_no_spec_is_told_in_one_line(tmp_path: Path, data: bytes, rule: str) -> None:
    path = tmp_path / "spec.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        Workload.read(path)
    assert str(caught.value).startswith(f"workload={path}: {rule}")
    assert "\n" not in str(caught.value)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text('{"trials": 3, "trials": 4}')
    with pytest.raises(ConfigError, match=r"^trials=4: is given twice in the same object$"):
        Workload.read(path)


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    missing = re.escape(f"workload={tmp_path / 'no.json'}: cannot be read (No such file")
    with pytest.raises(ConfigError, match=missing):
        Workload.read(tmp_path / "no.json")
    folder = re.escape(f"workload={tmp_path}: cannot be read (Is a directory)")
    with pytest.raises(ConfigError, match=folder):
        Workload.read(tmp_path)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(plain_spec()), encoding="utf-8-sig")
    assert Workload.read(path).trials == 2


def test_noise_goes_with_factors_that_are_all_one() -> None:
    plain = plain_spec(noise_sigma=0.1, duration_factors=[1.0])
    assert Workload.from_mapping(plain).noise_sigma == 0.1
