"""``python -m hrfs.simulate workload=from_run:FOLDER`` as a user starts it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from replay_folder import config, make_run_folder, summary

from hrfs import simulate
from hrfs.reporting import read_slices
from hrfs.reporting.spread import spread
from hrfs.simulator.policies import NAMES
from hrfs.simulator.spec import SimulatedWorker, Workload

WORKERS = (
    SimulatedWorker("gpu-0", 0.1, 0.3, "gpu"),
    SimulatedWorker("cpu-0", 0.4, 0.2, "cpu"),
    SimulatedWorker("cpu-1", 0.5, 0.2, "cpu"),
)
WORKLOAD = Workload(6, 100, 20, WORKERS, noise_sigma=0.05)
CONFIG = config(WORKLOAD, "greedy")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a run leaves behind, as far as it is read."""
    return make_run_folder(tmp_path / "run", WORKLOAD, "greedy")


def configured(folder: Path, **changes: Any) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    simulate.main([*arguments, "format=json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error of arguments that are refused."""
    with pytest.raises(SystemExit) as caught:
        simulate.main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.removeprefix("hrfs.simulate: ").rstrip("\n")


def test_a_run_and_its_changes_side_by_side(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(
        capsys, f"workload=from_run:{folder}",
        "what_if=-cpu-1", "what_if=+2:gpu", "what_if=population=24", "what_if=scheduler=static",
    )  # fmt: skip
    assert (found["run"], found["scheduler"], found["notes"]) == (str(folder), "greedy", [])
    rows = {row["what"]: row for row in found["rows"]}
    assert list(rows) == [
        "as it ran", "replayed", "-cpu-1", "+2:gpu", "population=24", "scheduler=static",
    ]  # fmt: skip
    real, replayed, less, more, many, _ = rows.values()
    assert replayed["makespan_s"] == pytest.approx(real["makespan_s"], rel=0.05)
    assert [row["workers"] for row in rows.values()] == [3, 3, 2, 5, 3, 3]
    assert [row["trials"] for row in rows.values()] == [6, 6, 6, 6, 24, 6]
    assert [row["scheduler"] for row in rows.values()] == ["greedy"] * 5 + ["static"]
    assert less["makespan_s"] > replayed["makespan_s"] > more["makespan_s"]
    assert 3 < many["makespan_s"] / replayed["makespan_s"] < 5
    for row in rows.values():
        assert row["change"] == pytest.approx(row["makespan_s"] / replayed["makespan_s"] - 1)
        assert row["ratio"] == row["makespan_s"] / row["bound_s"]
        hours = row["workers"] * row["makespan_s"] / 3600
        assert row["worker_hours"] == pytest.approx(hours)
        assert sum(row["worker_hours_by_kind"].values()) == pytest.approx(hours)
    assert more["worker_hours_by_kind"]["gpu"] == pytest.approx(3 * more["makespan_s"] / 3600)


def test_the_table_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate.main([f"workload=from_run:{folder}", "what_if=-1:cpu,scheduler=hrfs"])
    lines = capsys.readouterr().out.splitlines()
    assert "".join(lines[:2]).endswith("6 trials on 3 workers, greedy")
    header, real, replayed, changed = (line.split() for line in lines[-4:])
    assert " ".join(header) == (
        "what if workers trials makespan s change C* s ratio worker h cpu h gpu h"
    )
    assert real[:5] == ["as", "it", "ran", "3", "6"]
    assert replayed[:3] == ["replayed", "3", "6"]
    assert replayed[4:6] == ["+0.0", "%"]
    assert changed[:4] == ["-1:cpu,", "scheduler=hrfs", "2", "6"]
    assert max(map(len, lines[2:])) <= 100


def test_another_policy_for_all_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, f"workload=from_run:{folder}", "scheduler=static", "what_if=-cpu-0")
    assert [row["what"] for row in found["rows"]] == [
        "as it ran", "replayed, scheduler=static", "-cpu-0",
    ]  # fmt: skip
    assert [row["scheduler"] for row in found["rows"]] == ["greedy", "static", "static"]


def test_a_run_of_several_populations_is_replayed_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workload = dataclasses.replace(WORKLOAD, trials=4, seeds=(7, 3))
    folder = make_run_folder(tmp_path / "run", workload, "hrfs")
    given = f"workload=from_run:{folder}"
    found = compared(capsys, given, "what_if=population=8")
    assert (found["populations"], found["trials"], found["notes"]) == (2, 8, [])
    real, replayed, more = found["rows"]
    assert [row["trials"] for row in found["rows"]] == [8, 8, 16]
    assert replayed["makespan_s"] == pytest.approx(real["makespan_s"], rel=0.05)
    assert 1.7 < more["makespan_s"] / replayed["makespan_s"] < 2.3
    simulate.main([given])
    assert "2 x 4 trials on 3 workers, hrfs" in " ".join(capsys.readouterr().out.split())
    assert refused(capsys, given, "what_if=scheduler=ray_pbt") == (
        "seeds=[7, 3]: scheduler=ray_pbt would exploit across the populations; "
        "simulate each by itself, with seed"
    )


def test_a_run_of_before_there_were_seeds_is_replayed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {key: value for key, value in CONFIG.items() if key != "seeds"}
    (folder / "config.yaml").write_text(yaml.safe_dump(old))
    assert compared(capsys, f"workload=from_run:{folder}")["populations"] == 1


def test_every_scheduler_replays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = [f"what_if=scheduler={name}" for name in NAMES]
    found = compared(capsys, f"workload=from_run:{folder}", *changes)
    ratios = [row["ratio"] for row in found["rows"][2:]]
    assert len(ratios) == len(NAMES)
    assert all(0.95 < ratio < 4 for ratio in ratios)


@pytest.mark.parametrize("asked", [(), ("scheduler.request=gpu",)])
def test_trials_of_ray_ask_for_what_the_run_asked_for_unless_told(
    asked: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    configured(folder, scheduler={"policy": "ray_pbt", "request": "cpu"})
    out = tmp_path / "again.csv"
    compared(capsys, f"workload=from_run:{folder}", f"out={out}", *asked)
    kinds = {record.worker_kind for record in read_slices(out)}
    assert kinds == ({"gpu"} if asked else {"cpu"})


@pytest.mark.parametrize(
    ("asked", "above", "limit"), [((), 0, 20), (("scheduler.max_staleness=60",), 20, 60)]
)
def test_trials_stay_as_close_as_in_the_run_unless_told(
    asked: tuple[str, ...],
    above: int,
    limit: int,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    configured(folder, scheduler={"policy": "hrfs", "max_staleness": 20})
    out = tmp_path / "again.csv"
    compared(capsys, f"workload=from_run:{folder}", f"out={out}", *asked)
    apart = spread(read_slices(out), 6)
    assert apart is not None
    assert above < apart.largest_iterations <= limit
    given = f"workload=from_run:{folder}"
    changed = compared(capsys, given, "what_if=scheduler=static", *asked)["rows"][-1]
    assert changed["scheduler"] == "static"


def test_the_slices_of_one_change_are_written(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "again.csv"
    given = (f"workload=from_run:{folder}", f"out={out}")
    row = compared(capsys, *given)["rows"][-1]
    records = read_slices(out)
    assert max(r.end_s for r in records) == row["makespan_s"]
    compared(capsys, *given, "what_if=-cpu-0")
    assert {r.worker for r in read_slices(out)} == {"gpu-0", "cpu-1"}


def test_a_seed_deals_other_noise_and_the_same_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = f"workload=from_run:{folder}"
    makespans = [
        compared(capsys, given, *seed)["rows"][1]["makespan_s"]
        for seed in ((), ("seed=1",), ("seed=2",), ("seed=1",))
    ]
    assert makespans[1] == makespans[3]
    assert len(set(makespans)) == 3


def test_what_is_assumed_of_an_unfinished_run_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (folder / "slices.csv").read_text().splitlines(keepends=True)
    (folder / "slices.csv").write_text("".join(lines[:16]))
    done = sum(record.iterations for record in read_slices(folder / "slices.csv"))
    (folder / "summary.json").unlink()
    found = compared(capsys, f"workload=from_run:{folder}")
    assert found["notes"] == [
        f"The run did {done} of 600 iterations. The replays do all of them, at the speeds measured "
        "until then.",
        "It has no summary.json. All workers are taken to have stayed to the end.",
    ]
    real, replayed = found["rows"]
    assert (real["change"], replayed["change"]) == (None, 0.0)
    assert real["makespan_s"] < replayed["makespan_s"]
    simulate.main([f"workload=from_run:{folder}"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(note in said for note in found["notes"])


def test_what_the_replay_leaves_out_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present = {"gpu-0": True, "cpu-0": True, "cpu-1": False, "cpu-2": True}
    (folder / "summary.json").write_text(summary(failures=3, **present))
    found = compared(capsys, f"workload=from_run:{folder}")
    assert found["notes"] == [
        "Had left: cpu-1. In the replays they leave after their last slice.",
        "Without a finished slice, so without a speed, and left out: cpu-2.",
        "Slices that failed: 3. Those of the replays do not.",
    ]
    assert found["rows"][1]["workers"] == 3


GIVE = "give the folder of a run, such as outputs/2026-01-31/12-00-00"
IN_CONFIG = "in the run's config.yaml"


def test_bad_input_is_told_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, empty = f"workload=from_run:{folder}", tmp_path / "empty"
    empty.mkdir()
    nowhere = tmp_path / "nowhere"
    names = ", ".join(NAMES)
    for arguments, line in {
        (f"workload=from_run:{nowhere}",): (
            f"workload=from_run:{nowhere}: there is no such folder; {GIVE}"
        ),
        (f"workload=from_run:{empty}",): (
            f"workload=from_run:{empty}: is no run: it has no config.yaml; {GIVE}"
        ),
        ("workload=spec.json", "what_if=-cpu-0"): (
            "what_if=-cpu-0: changes a real run, and workload is none; "
            "give workload=from_run:FOLDER"
        ),
        (given, "what_if=-cpu-9"): (
            "what_if=-cpu-9: there is no worker of this name; "
            "there are: cpu-0, cpu-1, gpu-0; did you mean cpu-1?"
        ),
        (given, "what_if=+1:tpu"): (
            "what_if=+1:tpu: no worker is of this kind; there are: cpu, gpu; did you mean gpu?"
        ),
        (given, "what_if=scheduler=gredy"): (
            f"what_if=scheduler=gredy: must be one of {names}; did you mean greedy?"
        ),
        (given, "scheduler=gredy"): (
            f"scheduler=gredy: must be one of {names}; did you mean greedy?"
        ),
        (given, "scheduler.request=gpu"): (
            "scheduler.request=gpu: is for scheduler=ray_pbt alone; "
            "the other rules use workers of every kind; leave it out"
        ),
        (given, "scheduler.max_staleness=40"): (
            "scheduler.max_staleness=40: is for scheduler=hrfs alone; "
            "the other rules know no such limit; leave it out"
        ),
        (given, "what_if=-cpu-0", "what_if=-cpu-1", f"out={tmp_path / 'a.csv'}"): (
            f"out={tmp_path / 'a.csv'}: is for the slices of one replay, and there are 2 what_if; "
            "ask for them one by one"
        ),
        (given, "seeds=0,1"): (
            "seeds=0,1: is for a spec; the populations of a run are those that it had; leave it out"
        ),
        (given, f"out={folder / 'slices.csv'}"): (
            f"out={folder / 'slices.csv'}: is the workload, which would be lost; "
            "choose another file"
        ),
    }.items():
        assert refused(capsys, *arguments) == line
    assert sorted(tmp_path.iterdir()) == [empty, folder]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[1", "config.yaml={file}: cannot be read (while parsing a flow sequence"),
        ("7", f"config.yaml={{file}}: is not that of a run; {GIVE}"),
        ("a: 1", f"population.size=???: must be given {IN_CONFIG}; {GIVE}"),
        ("population: {size: 0}",
         f"population.size=0: must be a whole number, at least 1, {IN_CONFIG}"),
        ("population: {size: 6, stop_iterations: x}",
         f"population.stop_iterations=x: must be a whole number, at least 1, {IN_CONFIG}"),
        *((f"population: {{size: 6}}\nseeds: {seeds}",
           f"seeds={seeds}: must be null or unlike whole numbers, at least 0, {IN_CONFIG}")
          for seeds in ("x", 3, [], [0, -1], [1, 1], [True])),
    ],
)  # fmt: skip
def test_a_config_of_no_run_is_told_in_one_line(
    text: str, line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "config.yaml"
    file.write_text(text)
    assert refused(capsys, f"workload=from_run:{folder}").startswith(line.format(file=file))


def test_other_files_of_no_run_are_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, slices = f"workload=from_run:{folder}", folder / "slices.csv"
    configured(folder, scheduler={"policy": "mine"})
    assert refused(capsys, given) == f"scheduler=mine: must be one of {', '.join(NAMES)}"
    configured(folder, population=CONFIG["population"] | {"size": 2})
    assert refused(capsys, given).endswith(
        "is of it, but the population has 2 trials; give the slices.csv of this run"
    )
    configured(folder)
    (folder / "summary.json").write_text("{}")
    assert refused(capsys, given) == (
        f"summary.json={folder / 'summary.json'}: is not that of a run (KeyError('workers'))"
    )
    whole = slices.read_text().splitlines(keepends=True)
    slices.write_text(whole[0])
    (folder / "summary.json").unlink()
    assert refused(capsys, given) == (
        f"{given}: no slice of this run has finished, so no speed is known; let it run for longer"
    )
    slices.unlink()
    assert refused(capsys, given) == f"{given}: is no run: it has no slices.csv; {GIVE}"
