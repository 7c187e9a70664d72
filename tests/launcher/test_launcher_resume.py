"""Resuming: what has completed is kept, all else is run, and the user is told which and why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus
from launcher_jobs import Sweep, complete, fail

from hydra_plugins.hrfs_ray_tune_launcher._changes import changes, told
from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError
from hydra_plugins.hrfs_ray_tune_launcher._records import (
    JobRecord,
    read_record,
    record_path,
    write_record,
)
from hydra_plugins.hrfs_ray_tune_launcher._resume import (
    ResumePlan,
    check_resumable,
    numbers,
    plan_resume,
)
from hydra_plugins.hrfs_ray_tune_launcher._sweep_job import SweepJob

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


def plan(sweep: Sweep, *jobs: SweepJob, resume: bool = True) -> ResumePlan:
    return plan_resume(sweep.sweep_dir, jobs, resume)


def to_run(found: ResumePlan) -> list[int]:
    return [job.num for job in found.to_run]


def refused(sweep: Sweep, *jobs: SweepJob) -> str:
    with pytest.raises(LauncherError) as error:
        plan(sweep, *jobs)
    line = str(error.value)
    assert line.startswith("hydra.launcher.resume=true: ")
    assert "\n" not in line
    return line


def test_only_what_has_not_completed_is_run(sweep: Sweep) -> None:
    jobs = sweep.jobs([["lr=1"], ["lr=2"], ["lr=3"], ["lr=4"], ["lr=5"]])
    complete(jobs[0], 0.5)
    complete(jobs[1], [1, 2])
    fail(jobs[2], "ValueError: no")
    write_record(jobs[3].folder, jobs[3].record(), ".hydra")
    found = plan(sweep, *sweep.jobs([["lr=1"], ["lr=2"], ["lr=3"], ["lr=4"], ["lr=5"]]))
    assert to_run(found) == [2, 3, 4]
    assert {num: kept.return_value for num, kept in found.kept.items()} == {0: 0.5, 1: [1, 2]}
    assert found.messages == [
        "skipped jobs 0-1: completed before, configuration unchanged",
        "runs job 2: failed before (ValueError: no)",
        "runs job 3: did not end before",
        "runs job 4: not started before",
    ]


def test_what_is_kept_looks_like_hydras_own(sweep: Sweep) -> None:
    job = sweep.job(4, "lr=2", "hydra.job.chdir=true")
    complete(job, 0.25)
    kept = plan(sweep, job).kept[4]
    assert (kept.status, kept.return_value) == (JobStatus.COMPLETED, 0.25)
    assert kept.overrides == ["lr=2"]
    assert kept.task_name == "my_app"
    assert kept.working_dir == str(sweep.sweep_dir / "4")
    assert kept.cfg is not None
    assert kept.hydra_cfg is not None
    assert "hydra" not in kept.cfg
    assert (kept.cfg.lr, kept.cfg.twice) == (2, 2)
    assert kept.hydra_cfg.hydra.job.num == 4
    assert kept.hydra_cfg.hydra.runtime.output_dir == str(sweep.sweep_dir / "4")
    assert list(kept.hydra_cfg) == ["hydra"]


def test_hydras_state_is_left_alone(sweep: Sweep) -> None:
    before = HydraConfig.instance().cfg
    complete(sweep.job(0))
    plan(sweep, sweep.job(0))
    assert HydraConfig.instance().cfg is before


def test_a_value_that_was_not_kept_is_none_and_told(sweep: Sweep) -> None:
    complete(sweep.job(0), {1, 2})
    found = plan(sweep, sweep.job(0))
    assert found.kept[0].return_value is None
    assert found.messages[1:] == [
        "job 0 returns None: its value could not be kept as JSON (it has a set)"
    ]


def test_later_batches_count_on(sweep: Sweep) -> None:
    complete(sweep.job(0, "lr=1"))
    complete(sweep.job(2, "lr=3"), 3.0)
    found = plan(sweep, *sweep.jobs([["lr=3"], ["lr=4"]], first=2))
    assert to_run(found) == [3]
    assert found.kept[2].return_value == 3.0


def test_the_order_of_overrides_does_not_matter(sweep: Sweep) -> None:
    complete(sweep.job(0, "lr=1", "optimizer.name=adam"))
    assert to_run(plan(sweep, sweep.job(0, "optimizer.name=adam", "lr=1"))) == []


def test_how_it_is_run_does_not_matter(sweep: Sweep) -> None:
    complete(sweep.job(0, "lr=1", "+hydra.job.env_set={A: b}"))
    assert to_run(plan(sweep, sweep.job(0, "lr=1", "hydra.verbose=true"))) == []


# A finished job that is now another one.


def test_a_changed_configuration_is_named(sweep: Sweep) -> None:
    complete(sweep.job(0, "lr=1"))
    complete(sweep.job(1, "lr=2"))
    sweep.extra = "epochs: 20\n"
    line = refused(sweep, sweep.job(0, "lr=1"), sweep.job(1, "lr=2"))
    place = sweep.sweep_dir / "0"
    assert f"job 0 finished in {place} with another configuration: " in line
    assert "epochs was nothing and is 20 (and 1 other job likewise); " in line
    assert "delete the folders of jobs to run again" in line


def test_a_finished_job_asked_for_with_other_overrides(sweep: Sweep) -> None:
    complete(sweep.job(0, "lr=1"))
    line = refused(sweep, sweep.job(0, "lr=2"))
    assert "with lr=1, and is now asked for with lr=2; run the same sweep" in line
    complete(sweep.job(1))
    line = refused(sweep, sweep.job(1, "lr=2"))
    assert "with no override, and is now asked for with lr=2; " in line


def test_an_unfinished_job_may_change(sweep: Sweep) -> None:
    fail(sweep.job(0, "lr=1"), "ValueError: lr too large")
    complete(sweep.job(1, "lr=2"))
    found = plan(sweep, sweep.job(0, "lr=0.1"), sweep.job(1, "lr=2"))
    assert to_run(found) == [0]


def test_deleting_a_jobs_folder_has_it_run_again(sweep: Sweep) -> None:
    complete(sweep.job(0, "lr=1"))
    complete(sweep.job(1, "lr=2"))
    record_path(sweep.sweep_dir / "0", ".hydra", 0).unlink()
    found = plan(sweep, sweep.job(0, "lr=3"), sweep.job(1, "lr=2"))
    assert to_run(found) == [0]


@pytest.mark.parametrize(
    ("before", "now", "line"),
    [
        ({"a": 1}, {"a": 2}, "a was 1 and is 2"),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, "a.c was 2 and is 3"),
        ({"a": 1}, {"a": True}, "a was 1 and is True"),
        ({"a": None}, {}, "a was null and is nothing"),
        ({}, {"a": {}}, "a was nothing and is {}"),
        ({"a": {"b": 1}}, {"a": 3}, "a was {'b': 1} and is 3"),
        ({"a": [1, 2]}, {"a": [2, 1]}, "a was [1, 2] and is [2, 1]"),
        ({"a": "x" * 90}, {"a": ""}, f"a was {'x' * 57}... and is "),
        (dict.fromkeys("abcde", 1), dict.fromkeys("abcde", 2),
         "a was 1 and is 2, b was 1 and is 2, c was 1 and is 2, and 2 more"),
    ],
)  # fmt: skip
def test_changes_in_words(before: dict[str, object], now: dict[str, object], line: str) -> None:
    assert told(changes(before, now)) == line
    assert changes(before, before) == []


# Folders.


def test_a_damaged_record_costs_its_job_alone(sweep: Sweep) -> None:
    jobs = sweep.jobs([["lr=1"], ["lr=2"]])
    for job in jobs:
        complete(job, 1.0)
    path = record_path(jobs[0].folder, ".hydra", 0)
    path.write_text('{"job_num": 0, ')
    found = plan(sweep, *jobs)
    assert (to_run(found), list(found.kept)) == ([0], [1])
    assert found.messages[1].startswith(f"runs job 0: the record {path} is damaged (Invalid JSON")


def test_a_sweep_directory_that_does_not_exist(sweep: Sweep) -> None:
    line = refused(sweep, sweep.job(0))
    assert f"there is no sweep directory {sweep.sweep_dir} to resume; " in line
    assert line.endswith("give hydra.sweep.dir=FOLDER of the sweep to resume, or leave out resume")
    assert not sweep.sweep_dir.exists()


def test_a_sweep_directory_without_records(sweep: Sweep) -> None:
    (sweep.sweep_dir / "0" / ".hydra").mkdir(parents=True)
    (sweep.sweep_dir / "0" / ".hydra" / "config.yaml").write_text("lr: 1")
    line = refused(sweep, sweep.job(0))
    assert f"the sweep directory {sweep.sweep_dir} has no record of a job started by" in line


def test_a_sweep_directory_of_another_program(sweep: Sweep) -> None:
    complete(sweep.job(0))
    sweep.program = "other_app"
    line = refused(sweep, sweep.job(0), sweep.job(1))
    assert f"directory {sweep.sweep_dir} is of the program my_app, not other_app; " in line
    with pytest.raises(LauncherError, match="is of the program my_app"):
        check_resumable(sweep.sweep_dir, ".hydra", "other_app")
    check_resumable(sweep.sweep_dir, ".hydra", "my_app")


def test_one_finished_job_of_another_program_among_ours(sweep: Sweep) -> None:
    complete(sweep.job(0))
    sweep.program = "other_app"
    complete(sweep.job(1))
    sweep.program = "my_app"
    assert "is of the program other_app, not my_app" in refused(sweep, sweep.job(0), sweep.job(1))


@pytest.mark.parametrize(
    "own",
    [
        ["hydra.output_subdir=null"],
        ["hydra.output_subdir='odd [x]'"],
        ["hydra.sweep.subdir=${hydra.job.override_dirname}"],
        ["hydra.sweep.subdir='a/b/c/${hydra:job.num}'"],
    ],
)
def test_wherever_hydra_puts_its_own(sweep: Sweep, own: list[str]) -> None:
    jobs = sweep.jobs([["lr=1", *own], ["lr=2", *own]])
    complete(jobs[1], 2.0)
    found = plan(sweep, *jobs)
    assert to_run(found) == [0]
    assert found.kept[1].return_value == 2.0


@pytest.mark.parametrize("own", [[], ["hydra.output_subdir=null"]])
def test_jobs_that_share_a_folder_have_their_own_records(sweep: Sweep, own: list[str]) -> None:
    here = ["hydra.sweep.subdir=.", *own]
    jobs = sweep.jobs([["lr=1", *here], ["lr=2", *here], ["lr=3", *here]])
    complete(jobs[0], 1.0)
    complete(jobs[2], 3.0)
    found = plan(sweep, *jobs)
    assert to_run(found) == [1]
    assert [found.kept[num].return_value for num in (0, 2)] == [1.0, 3.0]


def test_folders_named_by_overrides_survive_a_new_numbering(sweep: Sweep) -> None:
    named = "hydra.sweep.subdir=lr-${lr}"
    complete(sweep.job(0, "lr=1", named), 1.0)
    complete(sweep.job(1, "lr=2", named), 2.0)
    found = plan(sweep, *sweep.jobs([["lr=1", named], ["lr=1.5", named], ["lr=2", named]]))
    assert to_run(found) == [1]
    assert found.kept[2].return_value == 2.0


# Without resume.


def test_without_resume_all_are_run_and_overwriting_is_told(sweep: Sweep) -> None:
    jobs = sweep.jobs([["lr=1"], ["lr=2"], ["lr=3"]])
    assert plan(sweep, *jobs, resume=False).messages == []
    complete(jobs[0])
    complete(jobs[2])
    found = plan(sweep, *jobs, resume=False)
    assert (to_run(found), found.kept) == ([0, 1, 2], {})
    assert found.messages == [
        f"jobs 0, 2 completed before in {sweep.sweep_dir} and will be run again, over what is "
        "there; hydra.launcher.resume=true would skip what has completed"
    ]


@pytest.mark.parametrize(
    ("nums", "text"),
    [([3], "job 3"), ([2, 0, 1], "jobs 0-2"), ([0, 2, 3, 7], "jobs 0, 2-3, 7")],
)
def test_numbers_in_short(nums: list[int], text: str) -> None:
    assert numbers(nums) == text


# A real sweep.

APP = """
import os, signal
from pathlib import Path
import hydra


@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    with open("ran.txt", "a") as file:
        print(cfg.n, file=file)
    if not Path("mended").exists():
        if cfg.n == 2:
            raise ValueError("two is too many")
        if cfg.n == 4:
            os.kill(os.getpid(), signal.SIGKILL)
    return cfg.n / 2


if __name__ == "__main__":
    main()
"""


def run_app(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a sweep over six jobs."""
    done = subprocess.run(
        [
            sys.executable, "my_app.py", "-m", "hydra/launcher=ray_tune", "+n=0,1,2,3,4,5",
            "hydra.sweep.dir=sweep", "hydra.launcher.init.num_cpus=2", *words,
        ],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.slow
def test_six_jobs_of_which_one_is_killed_and_one_raises(tmp_path: Path) -> None:
    (tmp_path / "my_app.py").write_text(APP)
    code, printed, errors = run_app(tmp_path)
    assert code == 1, printed + errors
    assert "ValueError: two is too many" in errors
    assert "4 completed, jobs 2, 4 failed; hydra.launcher.resume=true runs the rest" in printed
    assert sorted((tmp_path / "ran.txt").read_text().split()) == list("012345")
    records = [read_record(tmp_path / "sweep" / str(n), n) for n in range(6)]
    assert all(isinstance(record, JobRecord) for record in records)
    states = [record.status for record in records if isinstance(record, JobRecord)]
    assert states == ["COMPLETED", "COMPLETED", "FAILED", "COMPLETED", "FAILED", "COMPLETED"]

    (tmp_path / "mended").touch()
    (tmp_path / "ran.txt").unlink()
    code, printed, errors = run_app(tmp_path, "hydra.launcher.resume=true")
    assert code == 0, printed + errors
    assert sorted((tmp_path / "ran.txt").read_text().split()) == ["2", "4"]
    assert "skipped jobs 0-1, 3, 5: completed before, configuration unchanged" in printed
    assert "runs job 2: failed before (ValueError: two is too many)" in printed
    assert "runs job 4: failed before (job 4: " in printed
    values = [read_record(tmp_path / "sweep" / str(n), n) for n in range(6)]
    assert [v.value() for v in values if isinstance(v, JobRecord)] == [0, 0.5, 1, 1.5, 2, 2.5]
