"""The chaos benchmark: its plan, its reader, its judge; and a short form of it, whole."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.chaos.faults import SHARES, Kill, plan
from benchmarks.chaos.log import EventLog, Start
from benchmarks.chaos.losses import attribute
from benchmarks.chaos.processes import descendants, kill_tree, title
from benchmarks.chaos.run import Run
from benchmarks.chaos.runner import PacedMlp, evaluate_winner, iteration_of
from benchmarks.chaos.settings import Notes, long_form, short_form
from benchmarks.chaos.verdict import CHECKS, judge
from hrfs.experiment.checkpoint import CheckpointError
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest

ROOT = Path(__file__).resolve().parents[2]
KILLS = 8


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_population_under_kills_of_every_kind_breaks_no_promise(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", "--kills", str(KILLS), "--every-s", "3",
         "--short", "--keep", str(tmp_path / "kept")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        capture_output=True, text=True, timeout=880, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(_row(line) for line in done.stdout.splitlines() if line.count("│") == 3)
    assert rows["kills"] == str(KILLS)
    assert rows["trials finished"] == "4 of 4"
    assert rows["invariants broken"] == f"0 in {len(CHECKS)} checks"
    assert int(rows["slices repeated"]) > 0
    assert done.stdout.count("kept    ") == len(CHECKS)
    for kind in SHARES:
        assert f"  {kind}: " in done.stdout


def _row(line: str) -> tuple[str, str]:
    _, name, value, _ = line.split("│")
    return name.strip(), value.strip()


# The plan


def test_each_kind_comes_if_there_are_as_many_kills_as_kinds() -> None:
    for kills in (8, 9, 50):
        kinds = Counter(one.kind for one in plan(kills, 4.0, np.random.default_rng(0)))
        assert sum(kinds.values()) == kills
        assert set(kinds) == set(SHARES)
    assert max(kinds, key=lambda kind: kinds[kind]) == "training"


@pytest.mark.parametrize("seed", range(20))
def test_a_process_is_killed_at_its_start_only_behind_a_kill(seed: int) -> None:
    order = plan(20, 4.0, np.random.default_rng(seed))
    assert order == plan(20, 4.0, np.random.default_rng(seed))
    for before, after in itertools.pairwise(order):
        if after.kind == "starting":
            assert (before.kind, after.gap_s) == ("training", 0.0)
    assert order[0].kind != "starting"
    assert all(2.0 <= one.gap_s <= 6.0 for one in order if one.kind != "starting")


def test_other_seeds_are_other_plans_and_kinds_can_be_chosen() -> None:
    plans = [plan(20, 4.0, np.random.default_rng(seed)) for seed in (0, 1)]
    assert plans[0] != plans[1]
    few = plan(5, 4.0, np.random.default_rng(0), ["node", "cluster"])
    assert {one.kind for one in few} == {"node", "cluster"}
    assert len(few) == 5


# Its training


def runner(folder: Path, seed: int = 0) -> PacedMlp:
    return PacedMlp(seed, batch=64, notes=str(folder), pace_s=0.0, hidden=32)


def request(begin: int, iterations: int) -> SliceRequest:
    worker = WorkerInfo("fast/cpu:0", "cpu", "fast", 1.0)
    return SliceRequest(0, 3, begin, iterations, worker, {"lr": 0.1, "momentum": 0.9})


def test_it_learns_counts_its_steps_and_goes_on_exactly(tmp_path: Path) -> None:
    whole = runner(tmp_path)
    whole.begin(3)
    result = whole.run(request(0, 60))
    assert result.metrics["val/acc"] > 0.8
    assert Notes(tmp_path).steps() == 60

    first, second = runner(tmp_path), runner(tmp_path)
    first.begin(3)
    first.run(request(0, 25))
    first.save(tmp_path / "state.ckpt")
    assert iteration_of(tmp_path / "state.ckpt") == 25
    second.load(tmp_path / "state.ckpt")
    assert second.run(request(25, 35)).metrics == result.metrics

    second.save(tmp_path / "end.ckpt")
    settings: dict[str, Any] = {
        "seed": 0,
        "dataset": {"batch_size": 64},
        "model": {"_target_": "it", "notes": str(tmp_path), "pace_s": 0.0, "hidden": 32},
    }
    told = evaluate_winner(settings, tmp_path / "end.ckpt", request(0, 1).worker, tmp_path / "w")
    assert told["test/acc"] > 0.8
    assert (tmp_path / "w").read_bytes() == (tmp_path / "end.ckpt").read_bytes()


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    one = runner(tmp_path)
    one.begin(0)
    one.save(tmp_path / "state.ckpt")
    data = bytearray((tmp_path / "state.ckpt").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "state.ckpt").write_bytes(data)
    with pytest.raises(CheckpointError):
        one.load(tmp_path / "state.ckpt")


@pytest.mark.parametrize("what", ["start", "save", "load"])
def test_an_order_kills_one_process_in_the_middle(tmp_path: Path, what: str) -> None:
    one = runner(tmp_path)
    one.begin(0)
    one.save(tmp_path / "state.ckpt")
    notes = Notes(tmp_path)
    notes.order(what).touch()
    code = (
        "import sys; from pathlib import Path; from benchmarks.chaos.runner import PacedMlp\n"
        "r = PacedMlp(0, 64, sys.argv[1], 0.0); f = Path(sys.argv[1]) / 'state.ckpt'\n"
        "r.load(f); r.save(f)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HRFS_CHAOS_NODE": "fast"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    assert not notes.order(what).exists()
    assert notes.take_obeyed(what) == "fast"
    assert notes.take_obeyed(what) is None
    assert iteration_of(tmp_path / "state.ckpt") == 0, "what was there is untouched"
    assert bool(list(tmp_path.glob(".state.ckpt.*"))) == (what == "save")


def test_a_tree_of_processes_is_killed_whole() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    root = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    while not descendants(root.pid):
        assert root.poll() is None
    below = descendants(root.pid)
    assert "input()" in title(below[0])
    kill_tree(root.pid)
    assert root.wait() == -9
    assert root.stdin is not None
    root.stdin.close()
    while title(below[0]):  # whoever takes up orphans reaps it
        pass


# Its reader and its judge


def event(name: str, starts: list[list[Any]] | None = None, **content: Any) -> dict[str, Any]:
    facts = content.pop("facts", {}) | ({"starts": starts} if starts else {})
    return {"event": name, "facts": facts, **content}


def done(number: int, trial: int, begin: int, end: int, **more: Any) -> dict[str, Any]:
    record = {"slice": number, "trial": trial, "from_iteration": begin, "to_iteration": end}
    folder = f"trial_{trial:02d}/checkpoint_{end}"
    return event("SliceDone", slice=number, checkpoint=folder, facts={"record": record}, **more)


def log_of(tmp_path: Path, *events: dict[str, Any]) -> EventLog:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    log = EventLog(path)
    log.poll()
    return log


def run_of(log: EventLog, kills: list[Kill], steps: int = 0) -> Run:
    return Run(log.path.parent, log, 0, 1.0, steps, kills)


JOINED = event("WorkerJoined", [[0, 0, "a", 10], [1, 1, "b", 10]], worker="a")
LEFT = event("WorkerLeft", [[2, 0, "b", 10]], worker="a", reason="died")


def test_the_log_is_read_as_it_grows_and_up_to_its_last_whole_line(tmp_path: Path) -> None:
    log = log_of(tmp_path, JOINED)
    assert set(log.under_way) == {0, 1}
    whole = json.dumps(done(0, 0, 0, 10)) + "\n"
    with log.path.open("a") as stream:
        stream.write(whole[:20])
    assert not log.poll()
    with log.path.open("a") as stream:
        stream.write(whole[20:])
    assert log.poll()
    assert set(log.under_way) == {1}
    assert log.iterations == 10
    assert log.proven == {"a"}
    assert log.newest == {0: "trial_00/checkpoint_10"}
    assert not EventLog(tmp_path / "nowhere").poll()


def test_a_lost_slice_is_the_cost_of_the_kill_that_hit_its_worker(tmp_path: Path) -> None:
    log = log_of(tmp_path, JOINED, LEFT)
    assert [loss.start.slice for loss in log.losses] == [0]
    hit = Kill("training", 0.0, 1, ("a",), ())
    found = attribute(run_of(log, [hit]))
    assert (found.broken, found.iterations) == ([], 10)
    for kill in (Kill("training", 0.0, 1, ("b",), ()), Kill("training", 0.0, 9, ("a",), ())):
        assert attribute(run_of(log, [kill])).broken == ["slice 0 was lost to no kill: died"]


def test_a_kill_that_costs_two_slices_of_a_worker_is_found(tmp_path: Path) -> None:
    back = event("WorkerJoined", [[3, 0, "a", 10]], worker="a")
    again = event("WorkerLeft", worker="a", reason="died")
    log = log_of(tmp_path, JOINED, event("WorkerLeft", worker="a", reason="died"), back, again)
    kills = [Kill("node", 0.0, 1, ("a",), ())]
    assert attribute(run_of(log, kills)).broken == ["kill 1 (node) cost 2 slices of a"]
    kills.append(Kill("training", 1.0, 3, ("a",), ()))
    assert attribute(run_of(log, kills)).broken == []


def test_a_killed_cluster_costs_what_was_under_way_and_no_more(tmp_path: Path) -> None:
    gone = event("WorkerLeft", worker="a", reason="is not there any more")
    log = log_of(tmp_path, JOINED, gone)
    kill = Kill("cluster", 0.0, 1, ("a", "b"), (Start(0, 0, "a", 10), Start(1, 1, "b", 10)))
    found = attribute(run_of(log, [kill]))
    assert (found.broken, found.iterations) == ([], 20)


BAD_CHAINS = {
    "no iteration is counted twice, none is missing": [(0, 10), (5, 15)],
    "no trial goes back to zero": [(0, 10), (0, 20)],
    "every trial is at its stop": [(0, 10)],
}


@pytest.mark.parametrize("promise", BAD_CHAINS)
def test_what_is_broken_is_found_in_the_log(tmp_path: Path, promise: str) -> None:
    settings = short_form(8, 4.0, 0)
    log = log_of(tmp_path)
    stop = settings.stop_iterations
    log.story = {trial: [(0, 10), (10, stop)] for trial in range(settings.trials)}
    assert CHECKS[promise](run_of(log, []), settings) == []
    log.story[2] = [*BAD_CHAINS[promise]]
    (told,) = CHECKS[promise](run_of(log, []), settings)
    assert told.startswith("trial 2")


def test_a_damaged_checkpoint_takes_back_one_slice(tmp_path: Path) -> None:
    settings = short_form(8, 4.0, 0)
    check = CHECKS["no iteration is counted twice, none is missing"]
    log = log_of(tmp_path)
    log.story = {0: [(0, 10), (10, 20), None, (10, 30)]}
    assert check(run_of(log, []), settings) == []
    assert attribute(run_of(log, [])).rolled_back == [10]
    assert attribute(run_of(log, [])).broken == ["10 iterations were rolled back for no damage"]
    assert attribute(run_of(log, [Kill("byte", 0.0, 1, (), ())])).broken == []
    log.story = {0: [(0, 10), (10, 20), None, (0, 30)]}
    assert check(run_of(log, []), settings) == ["trial 0, at 10, went from 0 to 30"]


def test_steps_that_nobody_did_and_steps_that_no_kill_explains_are_found(tmp_path: Path) -> None:
    settings = short_form(8, 4.0, 0)
    check = CHECKS["iterations were done that count, and lost only from those slices"]
    whole = settings.trials * settings.stop_iterations
    log = log_of(tmp_path, JOINED, LEFT)
    kills = [Kill("training", 0.0, 1, ("a",), ())]
    assert check(run_of(log, kills, whole + 10), settings) == []
    assert len(check(run_of(log, kills, whole + 11), settings)) == 1
    assert len(check(run_of(log, kills, whole - 1), settings)) == 1


def test_a_run_without_files_breaks_its_checks_and_raises_nothing(tmp_path: Path) -> None:
    checks = judge(run_of(log_of(tmp_path), []), short_form(8, 4.0, 0))
    broken = {check.promise for check in checks if check.broken}
    assert "the run finishes, exit code 0" in broken
    assert "slices.csv and the event log agree" in broken
    assert "every kill happened" in broken


def test_the_work_is_measured_by_the_kills() -> None:
    few, many = (long_form(kills, 4.0, 0).stop_iterations for kills in (10, 50))
    assert 4 <= many / few <= 6
    assert many % long_form(50, 4.0, 0).interval_iterations == 0


@pytest.mark.parametrize(
    "arguments", [["--kills", "0"], ["--every-s", "0"], ["--seed", "-1"], ["--kinds", "x"]]
)
def test_bad_arguments_are_refused(arguments: list[str]) -> None:
    from benchmarks.chaos.__main__ import main

    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
