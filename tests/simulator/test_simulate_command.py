"""``python -m hrfs.simulate`` as a user starts it."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hrfs import simulate
from hrfs.core.policies import make_policy
from hrfs.experiment.records import SLICE_COLUMNS
from hrfs.reporting import read_slices
from hrfs.reporting.columns import FIXED_COLUMNS
from hrfs.simulator.driver import play
from hrfs.simulator.policies import NAMES
from hrfs.simulator.spec import Workload

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
STARTS_WITHIN_S = 1.0
HEAVY = ("torch", "ray", "hydra", "omegaconf", "pytorch_lightning", "torchvision", "scipy")

Spec = dict[str, Any]


def spec(**changes: Any) -> Spec:
    """Two workers of unlike kinds; trials learn and slices fail."""
    return {
        "trials": 4,
        "stop_iteration": 60,
        "interval": 10,
        "noise_sigma": 0.1,
        "curve": {
            "half_lives_iterations": [20, 40],
            "learning_rate": {"low": 0.001, "high": 1, "best": 0.1},
        },
        "workers": [
            {"name": "a, b", "kind": "cpu", "seconds_per_iteration": 0.5, "leaves_at_s": 60},
            {"name": "g", "kind": "gpu", "seconds_per_iteration": 0.1, "fails_probability": 0.1},
        ],
    } | changes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(spec()))
    return file


def process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "hrfs.simulate", *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error of arguments that are refused."""
    with pytest.raises(SystemExit) as caught:
        simulate.main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("hrfs.simulate: ")
    assert said.err.count("\n") == 1
    return said.err.removeprefix("hrfs.simulate: ").rstrip("\n")


@pytest.mark.parametrize("name", sorted(file.stem for file in GOLDEN.glob("*.json")))
def test_recorded_slices_come_out_exactly(name: str, tmp_path: Path) -> None:
    out = tmp_path / "slices.csv"
    simulate.main([f"workload={GOLDEN / name}.json", "scheduler=hrfs_paper", f"out={out}"])
    with (GOLDEN / f"{name}.slices.csv").open(newline="") as stream:
        expected = list(csv.reader(stream))
    with out.open(newline="") as stream:
        assert [row[:7] for row in csv.reader(stream)] == expected


def test_it_starts_at_once_and_without_what_is_heavy(path: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from hrfs.simulate import main\n"
        f"main(['workload={path}', 'scheduler=hrfs_paper', 'out=slices.csv'])\n"
        f"sys.exit(', '.join(m for m in {HEAVY} if m in sys.modules))"
    )
    before_s = cpu_s_of_children()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == "\n"
    assert cpu_s_of_children() - before_s < STARTS_WITHIN_S


def cpu_s_of_children() -> float:
    """What they computed, however busy the machine was."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_same_bytes_come_out_of_any_process(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    arguments = (f"workload={path}", "scheduler=hrfs_paper", "format=json")
    simulate.main([*arguments, f"out={here}"])
    said = capsys.readouterr().out
    done = process(*arguments, f"out={there}", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == said
    assert there.read_bytes() == here.read_bytes()


def test_another_seed_is_another_run(path: Path, tmp_path: Path) -> None:
    outs = {}
    for name, more in {
        "0": [],
        "zero": ["seed=0"],
        "1": ["seed=1"],
        "last": ["seed=0", "seed=1"],
    }.items():
        out = tmp_path / f"{name}.csv"
        simulate.main([f"workload={path}", "scheduler=hrfs_paper", f"out={out}", *more])
        outs[name] = out.read_bytes()
    assert outs["0"] == outs["zero"]
    assert outs["1"] == outs["last"]
    assert outs["0"] != outs["1"]


def test_the_file_is_one_that_a_run_would_write(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "slices.csv"
    simulate.main([f"workload={path}", "scheduler=hrfs_paper", f"out={out}"])
    header = [*FIXED_COLUMNS, "hp/ceiling", "hp/half_life_iterations", "hp/learning_rate"]
    assert out.read_bytes().partition(b"\n")[0].decode() == ",".join(header)
    assert tuple(header[:7]) == SLICE_COLUMNS
    run = play(Workload.read(path), make_policy("hrfs_paper"))
    assert read_slices(out) == run.records
    assert {record.parent for record in run.records} > {None}


def test_figures_as_json(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "slices.csv"
    simulate.main([f"workload={path}", "scheduler=fastest_only", "format=json", f"out={out}"])
    found = json.loads(capsys.readouterr().out)
    records = read_slices(out)
    assert (found["workload"], found["scheduler"]) == (str(path), "fastest_only")
    assert (found["trials"], found["seed"]) == (4, 0)
    assert found["slices"] == len(records)
    assert found["iterations"] == 4 * 60
    assert found["makespan_s"] == max(r.end_s for r in records)
    # 240 iterations at 12 a second until the slower worker leaves, which it does not before
    assert found["bound_s"] == pytest.approx(240 / 12)
    assert found["ratio"] == pytest.approx(found["makespan_s"] / 20)
    assert found["measured_ratio"] * found["measured_bound_s"] == pytest.approx(found["makespan_s"])
    assert found["retired"] == ["a, b"]
    slow, fast = found["workers"]
    assert (slow["name"], slow["kind"], slow["retired"]) == ("a, b", "cpu", True)
    mine = [r for r in records if r.worker == "g"]
    assert fast["busy_s"] == pytest.approx(sum(r.end_s - r.start_s for r in mine))
    assert fast["utilisation"] == pytest.approx(fast["busy_s"] / found["makespan_s"])
    assert fast["slices"] + slow["slices"] == found["slices"]
    assert found["lost_s"] == pytest.approx(fast["lost_s"])
    assert found["failures"] > 0
    moved, last = 0, {}
    for record in sorted(records, key=lambda r: r.start_s):
        moved += last.get(record.trial, record.worker) != record.worker
        last[record.trial] = record.worker
    assert found["migrations"] == moved
    assert found["best_score"] == max(r.score for r in records)
    assert 0 < found["mean_staleness_iterations"] < found["mean_spread_iterations"]
    assert found["mean_spread_iterations"] < found["largest_spread_iterations"] <= 60


def test_utilisation_counts_from_joining_to_leaving(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workers = [
        {"name": "early", "seconds_per_iteration": 1.0, "leaves_at_s": 25},
        {"name": "late", "seconds_per_iteration": 1.0, "joins_at_s": 15},
        {"name": "never", "seconds_per_iteration": 1.0, "joins_at_s": 500},
    ]
    file = tmp_path / "spec.json"
    plain = {"trials": 1, "stop_iteration": 40, "interval": 10, "workers": workers}
    file.write_text(json.dumps(plain))
    simulate.main([f"workload={file}", "scheduler=static", "format=json"])
    found = json.loads(capsys.readouterr().out)
    early, late, never = found["workers"]
    assert found["makespan_s"] == 45.0  # 20 iterations, 5 s lost, 20 iterations
    assert (early["busy_s"], early["lost_s"], early["present_s"]) == (20.0, 5.0, 25.0)
    assert early["utilisation"] == 0.8
    assert (late["busy_s"], late["present_s"]) == (20.0, 30.0)
    assert (never["present_s"], never["utilisation"]) == (0.0, None)
    assert found["utilisation"] == pytest.approx(40 / 55)
    assert found["bound_s"] == 40.0


@pytest.mark.parametrize("name", NAMES)
def test_every_scheduler_finishes_the_work(
    name: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate.main([f"workload={path}", f"scheduler={name}", "format=json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["scheduler"], found["iterations"]) == (name, 4 * 60)


@pytest.mark.parametrize(("request_", "busy"), [("auto", 1), ("cpu", 0), ("gpu", 1)])
def test_trials_of_ray_ask_for_one_kind(
    request_: str, busy: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spec.json"
    workers = [
        {"name": "c", "kind": "cpu", "seconds_per_iteration": 0.5},
        {"name": "g", "kind": "gpu:A100", "seconds_per_iteration": 0.1},
    ]
    file.write_text(json.dumps(spec(workers=workers)))
    simulate.main(
        [f"workload={file}", "scheduler=ray_pbt", f"scheduler.request={request_}", "format=json"]
    )
    found = json.loads(capsys.readouterr().out)
    assert [w["iterations"] for w in found["workers"]] == [240 * (busy == 0), 240 * (busy == 1)]


def test_figures_for_people(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate.main([f"workload={path}", "scheduler=hrfs_paper"])
    said = capsys.readouterr().out
    for words in (
        "4 trials on 2 workers, hrfs_paper", "makespan", "C*", "20 s at the spec's speeds",
        "ratio", "utilisation", "spread", "staleness", "slices", "migrations", "retired",
        "a, b", "failures", "scores",
    ):  # fmt: skip
        assert words in said
    assert max(map(len, said.splitlines())) <= 100


def test_many_workers_are_told_by_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "spec.json"
    workers = [
        {"name": f"w{n}", "kind": f"kind{n % 2}", "seconds_per_iteration": 1} for n in range(50)
    ]
    file.write_text(json.dumps(spec(trials=50, workers=workers)))
    simulate.main([f"workload={file}", "scheduler=static"])
    said = capsys.readouterr().out
    assert re.search(r"^kind0 +25 ", said, re.M)
    assert re.search(r"^kind1 +25 ", said, re.M)
    assert "w49" not in said


def test_help_names_every_key_and_scheduler(capsys: pytest.CaptureFixture[str]) -> None:
    simulate.main(["--help"])
    said = capsys.readouterr().out
    keys = ("scheduler.request=", "scheduler.max_staleness=")
    for words in (*keys, "workload=", "scheduler=", "out=", "format=", "seed=", *NAMES):
        assert words in said


def test_a_bad_argument_is_told_in_one_line(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ", ".join(NAMES)
    given = f"workload={path}"
    out = tmp_path / "slices.csv"
    for arguments, line in {
        (): "workload=???: must be given; add workload=SPEC.json",
        ("workload=",): "workload=???: must be given; add workload=SPEC.json",
        (given, "hrfs"): "argument=hrfs: is no key=value; --help lists the keys",
        (given, "schedular=x"): (
            "schedular=x: there is no such key; "
            "did you mean scheduler or scheduler.request or scheduler.max_staleness?"
        ),
        (given, "scheduler=hrfs_papre"): (
            f"scheduler=hrfs_papre: must be one of {names}; did you mean hrfs_paper?"
        ),
        (given, "scheduler=ray_pbt", "scheduler.request=tpu"): (
            "scheduler.request=tpu: must be auto or one of cpu, gpu"
        ),
        (given, "scheduler=static", "scheduler.request=gpu"): (
            "scheduler.request=gpu: is for scheduler=ray_pbt alone; "
            "the other rules use workers of every kind; leave it out"
        ),
        (given, "format=xml"): "format=xml: must be one of table, json",
        (given, "seed=-1"): ("seed=-1: must be a whole number, at least 0, of at most 18 digits"),
        (given, "seed=1.5"): ("seed=1.5: must be a whole number, at least 0, of at most 18 digits"),
        (given, "seeds=0,x"): "seeds=x: must be a whole number, at least 0, of at most 18 digits",
        (given, "seeds=[]"): "seeds=: must be a whole number, at least 0, of at most 18 digits",
        (given, "seeds=[1, 1]"): (
            "seeds=[1, 1]: names seed 1 2 times; its populations would be alike, leave it once"
        ),
        (given, "seeds=1,2", "scheduler=ray_pbt"): (
            "seeds=[1, 2]: scheduler=ray_pbt would exploit across the populations; "
            "simulate each by itself, with seed"
        ),
        (given, f"out={path}"): (
            f"out={path}: is the workload, which would be lost; choose another file"
        ),
        (given, f"out={tmp_path}"): f"out={tmp_path}: is there and is no file; choose another file",
        (given, f"out={path}/x.csv"): (
            f"out={path}/x.csv: cannot be written ({path} is no folder); choose another file"
        ),
        ("workload=nowhere.json", f"out={out}"): (
            "workload=nowhere.json: cannot be read (No such file or directory)"
        ),
    }.items():
        assert refused(capsys, *arguments) == line
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (json.dumps(spec(trials=0)), "trials=0: must be at least 1"),
        (json.dumps(spec(workers=[])), "workers=[]: must list at least 1"),
        (json.dumps(spec(interval=61)), "interval=61: must be at most stop_iteration=60"),
        (json.dumps(spec(noise_sigma=math.nan)), "noise_sigma=NaN: must be a finite number"),
        (
            json.dumps(spec(workers=[{"name": "a", "seconds_per_iteration": 1, "leaves_at_s": 9}])),
            "workers=1: all had left at 9 s while 4 of 4 trials are unfinished; "
            "let one stay longer",
        ),
        ("no spec", "workload={path}: is no JSON: Expecting value (line 1, column 1)"),
    ],
)  # fmt: skip
def test_a_bad_spec_leaves_nothing_behind(
    text: str, line: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(text)
    said = refused(capsys, f"workload={path}", f"out={tmp_path / 'new' / 'slices.csv'}")
    assert said == line.format(path=path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fails_is_told_and_leaves_the_old_file(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "slices.csv"
    out.write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = refused(capsys, f"workload={path}", "scheduler=hrfs_paper", f"out={out}")
    rule = "cannot be written (No space left on device); choose another file"
    assert said == f"out={out}: {rule}"
    assert out.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [out, path]


def test_a_folder_without_the_right_to_write_is_told_before_the_simulation(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda folder, mode: False)  # root may write everywhere
    monkeypatch.setattr(simulate, "play", None)
    said = refused(capsys, f"workload={path}", f"out={tmp_path / 'slices.csv'}")
    assert said.endswith(f"cannot be written (no right to write {tmp_path}); choose another file")


def test_a_reader_that_leaves_early_is_no_fault(path: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m hrfs.simulate workload={path} scheduler=static format=json"
    done = subprocess.run(
        ["bash", "-c", f"{command} | true; echo ${{PIPESTATUS[0]}}"], cwd=tmp_path, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_exit_code_of_a_process_with_bad_input(tmp_path: Path) -> None:
    done = process("workload=spec.json", "out=slices.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "hrfs.simulate: workload=spec.json: cannot be read (No such file or directory)\n"
    )
    assert list(tmp_path.iterdir()) == []
