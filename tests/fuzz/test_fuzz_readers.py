"""Any bytes in the place of a file that hrfs reads: its content, or one line that tells."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from damage import DEEP, LONG_NUMBER, altered, as_json, damaged
from fuzz_cases import fuzz
from hypothesis import example
from hypothesis import strategies as st
from junk import scalars, values
from omegaconf import OmegaConf
from reporting_play import Play, make_plan
from rich.console import Console
from runs_play import write_run

from hrfs.cli.simulate_run_folder import read_run
from hrfs.core.events import (
    Event,
    SliceDone,
    SliceFailed,
    Tick,
    TrialAdded,
    TrialRemoved,
    WorkerJoined,
    WorkerLeft,
)
from hrfs.core.invariants import check
from hrfs.core.policies import make_policy
from hrfs.experiment.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.event_log import (
    Entry,
    encode_entry,
    encode_header,
    parse_log,
    settings_of,
)
from hrfs.experiment.records import SliceRecord
from hrfs.reporting import SliceCsv, read_slices
from hrfs.reporting.aggregate import aggregate
from hrfs.reporting.aggregate_files import check_target, write_aggregate
from hrfs.reporting.aggregate_table import AggregateTable
from hrfs.reporting.cells import format_line
from hrfs.simulator.driver import play
from hrfs.simulator.spec import Workload
from hydra_plugins.hrfs_ray_tune_launcher._records import (
    Damaged,
    JobRecord,
    read_file,
    started,
    write_record,
)

SPEC = {
    "trials": 3,
    "stop_iteration": 40,
    "interval": 10,
    "seed": 1,
    "noise_sigma": 0.1,
    "work_factor": [1.0, 2.0, 3.0],
    "kind_factors": {"gpu": [1.0, 0.5, 1.0]},
    "checkpoint_bytes": 1e6,
    "link_bytes_per_s": 1e7,
    "links": [{"between": ["a", "b"], "bytes_per_s": 1e8}],
    "workers": [
        {"name": "a", "seconds_per_iteration": 0.1, "kind": "gpu", "leaves_at_s": 9.0},
        {"name": "b", "seconds_per_iteration": 0.5, "speed_changes": [[1.0, 2.0]]},
    ],
    "curve": {
        "half_lives_iterations": [20],
        "learning_rate": {"low": 1e-4, "high": 1.0, "best": 0.01},
    },
    "target_score": 0.5,
}
RECORD = started("p", 3, ["seed=1"], OmegaConf.create({"seed": 1, "model": {"lr": 0.1}}))
ENDED = RECORD.ended("COMPLETED", {"a": (1, float("nan"))})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def is_one_line(error: Exception) -> None:
    assert len(str(error).splitlines()) == 1
    assert str(error).strip()


def read_spec(folder: Path, content: bytes) -> None:
    path = folder / "spec.json"
    path.write_bytes(content)
    try:
        assert isinstance(Workload.read(path), Workload)
    except ConfigError as fault:
        is_one_line(fault)


@example(content=b"")
@example(content=DEEP)
@example(content=LONG_NUMBER)
@fuzz(
    0.04, content=damaged(json.dumps(SPEC, indent=1).encode()) | st.binary() | values().map(as_json)
)
def test_any_bytes_as_a_spec(folder: Path, content: bytes) -> None:
    read_spec(folder, content)


@fuzz(0.1, plain=altered(SPEC))
def test_any_spec(folder: Path, plain: Any) -> None:
    read_spec(folder, as_json(plain))
    if isinstance(plain, dict):
        try:
            workload = Workload.from_mapping(plain)
            if is_small(workload):
                play(workload, make_policy("hrfs"), check)
        except ConfigError as fault:
            is_one_line(fault)


def is_small(workload: Workload) -> bool:
    """Whether its simulation ends at once."""
    slices = workload.all_trials * workload.stop_iteration / workload.interval
    return slices < 100 and all(worker.fails_probability < 0.9 for worker in workload.workers)


def whole_slices(folder: Path) -> bytes:
    """What a run writes."""
    path = folder / "whole.csv"
    if not path.exists():
        Play([SliceCsv(path)], make_plan()).run()
    return path.read_bytes()


ODD_CELLS = [
    "",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1_0",
    "٣",
    "9" * 5000,
    "[" * 100_000,
    "x" * 200_000,
]


@st.composite
def other_cells(draw: st.DrawFn, whole: bytes) -> bytes:
    """A table some of whose cells hold something else."""
    rows = list(csv.reader(io.StringIO(whole.decode())))
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.sampled_from(rows[1:] * 5 + rows[:1]))
        other = st.sampled_from(ODD_CELLS) | scalars().map(str)
        row[draw(st.integers(0, len(row) - 1))] = draw(other)
    return "".join(map(format_line, rows)).encode()


@fuzz(0.08, data=st.data())
def test_any_slices(folder: Path, data: st.DataObject) -> None:
    path, whole = folder / "slices.csv", whole_slices(folder)
    path.write_bytes(data.draw(damaged(whole) | other_cells(whole), label="content"))
    try:
        assert all(isinstance(record, SliceRecord) for record in read_slices(path))
    except ConfigError as fault:
        is_one_line(fault)


def replay(run: Path) -> None:
    """What the simulator takes from a run's folder."""
    try:
        read_run(run)
    except ConfigError as fault:
        is_one_line(fault)


def sum_up(run: Path) -> None:
    """Everything that is made of a sweep's folders."""
    try:
        found = aggregate([run.parent], targets=[0.5])
        write_aggregate(run.parent / "out", found)
    except ConfigError as fault:
        is_one_line(fault)
        return

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no strict JSON")

    json.loads((run.parent / "out" / "summary.json").read_bytes(), parse_constant=refuse)
    with (run.parent / "shown").open("w") as stream:
        Console(file=stream, width=100).print(AggregateTable(found))


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """A finished run, another one beside it, and one of two populations."""
    write_run(folder / "sweep" / "2", seeds=(3, 4))
    write_run(folder / "sweep" / "1", seed=1)
    return write_run(folder / "sweep" / "0", seed=0)


@fuzz(0.06, data=st.data())
def test_any_summary(run: Path, data: st.DataObject) -> None:
    path = run / "summary.json"
    whole = path.read_bytes()
    try:
        odd = st.sampled_from([DEEP, LONG_NUMBER])
        changed = altered(json.loads(whole)).map(as_json) | damaged(whole) | odd
        path.write_bytes(data.draw(changed, label="summary"))
        sum_up(run)
        replay(run)
    finally:
        path.write_bytes(whole)


@fuzz(0.04, data=st.data())
def test_any_other_file_of_a_run(run: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["config.yaml", "slices.csv", ".hydra/hydra.yaml"]))
    path = run / name
    whole = path.read_bytes() if path.exists() else b"hydra: {runtime: {choices: {model: x}}}"
    try:
        path.write_bytes(data.draw(damaged(whole) | values().map(as_json), label=name))
        sum_up(run)
        replay(run)
    finally:
        path.write_bytes(whole)


@example(content=DEEP)
@example(content=LONG_NUMBER)
@fuzz(0.03, content=st.binary() | values().map(as_json))
def test_any_bytes_as_a_sweeps_summary(folder: Path, content: bytes) -> None:
    (folder / "sum").mkdir(exist_ok=True)
    (folder / "sum" / "summary.json").write_bytes(content)
    try:
        check_target(folder / "sum")
    except ConfigError as fault:
        is_one_line(fault)


@example(content=DEEP)
@example(content=LONG_NUMBER)
@fuzz(
    0.04,
    content=altered(ENDED.model_dump(mode="json")).map(as_json)
    | damaged(ENDED.model_dump_json().encode()),
)
def test_any_bytes_as_a_job_record(folder: Path, content: bytes) -> None:
    path = folder / "job_3.json"
    path.write_bytes(content)
    found = read_file(path)
    assert isinstance(found, JobRecord | Damaged)
    if isinstance(found, JobRecord):
        found.value()
        write_record(folder, found)
    else:
        assert len(found.reason.splitlines()) == 1


@fuzz(0.05, data=st.data(), payload=st.binary(max_size=300))
def test_any_damage_of_a_checkpoint_is_found(
    folder: Path, data: st.DataObject, payload: bytes
) -> None:
    path = folder / "checkpoint"
    write_checkpoint(path, payload)
    whole = path.read_bytes()
    assert bytes(read_checkpoint(path)) == payload
    changed = data.draw(damaged(whole) | st.binary(), label="content")
    path.write_bytes(changed)
    if changed == whole:
        return
    with pytest.raises(CheckpointError) as told:
        read_checkpoint(path)
    is_one_line(told.value)


def whole_log() -> bytes:
    """A run's event log, a line of each kind of event."""
    events: list[Event] = [
        TrialAdded(0.0, 0, {"lr": 0.1}),
        WorkerJoined(0.5, "a", "cpu"),
        SliceDone(1.5, 0, 1.0, float("nan"), "/run/t0/c1", 0.1),
        SliceFailed(2.0, 1, "out of memory"),
        Tick(2.5),
        WorkerLeft(3.0, "a", "unplugged"),
        TrialRemoved(4.0, 0, "failed too often"),
    ]
    lines = [encode_entry(Entry(event, {"copy": "/run/t0/c1"}), "/run") for event in events]
    return encode_header(settings_of(make_plan(), "hrfs", None)) + b"".join(lines)


@st.composite
def other_lines(draw: st.DrawFn, whole: bytes) -> bytes:
    """A log with one line altered, left out or twice."""
    lines = whole.splitlines(keepends=True)
    at = draw(st.integers(0, len(lines) - 1))
    changed = altered(json.loads(lines[at])).map(lambda line: as_json(line) + b"\n")
    odd = st.sampled_from([b"", lines[at] * 2, DEEP + b"\n", LONG_NUMBER + b"\n"])
    lines[at] = draw(changed | changed | odd)
    return b"".join(lines)


@fuzz(0.05, content=damaged(whole_log()) | other_lines(whole_log()))
def test_any_bytes_as_an_event_log(content: bytes) -> None:
    try:
        log = parse_log(content, "log", "/run")
    except ConfigError as fault:
        is_one_line(fault)
        return
    assert log.size + log.torn == len(content)
