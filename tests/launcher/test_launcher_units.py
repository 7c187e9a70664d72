"""What the launcher decides without Ray: outcomes that travel, requests, arguments, causes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hydra.core.utils import JobReturn, JobStatus
from launcher_jobs import Sweep
from omegaconf import OmegaConf, open_dict

from hydra_plugins.hrfs_ray_tune_launcher._deaths import cause_of_death
from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError
from hydra_plugins.hrfs_ray_tune_launcher._options import (
    HEAD_NODE,
    Resources,
    init_arguments,
    job_resources,
)
from hydra_plugins.hrfs_ray_tune_launcher._outcome import (
    JobFailed,
    TaskError,
    TaskExited,
    pack,
    unpack,
)
from hydra_plugins.hrfs_ray_tune_launcher._output import output_to
from hydra_plugins.hrfs_ray_tune_launcher._sweep_job import SweepJob
from hydra_plugins.hrfs_ray_tune_launcher._worker import guard, restored_process

ROOT = Path(__file__).parents[2]


def with_launcher(job: SweepJob, **launcher: Any) -> SweepJob:
    with open_dict(job.config):
        OmegaConf.set_readonly(job.config, False)
        OmegaConf.set_readonly(job.config.hydra, False)
        job.config.hydra.launcher = {"init": {}, "resources": {}, **launcher}
    return job


def returned(value: object, status: JobStatus = JobStatus.COMPLETED) -> JobReturn:
    result = JobReturn(overrides=["a=1"], cfg=OmegaConf.create({"a": 1}), status=status)
    result.return_value = value
    return result


def raised(error: BaseException) -> JobReturn:
    try:
        raise error
    except BaseException as caught:
        return returned(caught, JobStatus.FAILED)


class AwkwardError(Exception):
    """Pickles, but does not come back: its arguments are not those of the constructor."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def test_a_value_comes_back(tmp_path: Path) -> None:
    result = unpack(Sweep(tmp_path).job(0), pack(returned({"loss": 0.5})).outcome)
    assert result.status == JobStatus.COMPLETED
    assert result.return_value == {"loss": 0.5}
    assert result.overrides == ["a=1"]


def test_a_value_that_cannot_be_pickled_fails_the_job(tmp_path: Path) -> None:
    ended = pack(returned(threading.Lock()))
    result = unpack(Sweep(tmp_path).job(0), ended.outcome)
    assert not ended.completed
    assert result.status == JobStatus.FAILED
    with pytest.raises(JobFailed, match=r"returned a _thread\.lock, which can't be pickled"):
        _ = result.return_value


def test_an_exception_comes_back_with_its_traceback(tmp_path: Path) -> None:
    result = unpack(Sweep(tmp_path).job(0), pack(raised(ValueError("boom"))).outcome)
    with pytest.raises(ValueError, match="boom") as caught:
        _ = result.return_value
    assert "in raised" in str(caught.value.__cause__)


@pytest.mark.parametrize("error", [AwkwardError(1, 2), ValueError(threading.Lock())])
def test_an_exception_that_cannot_travel_is_stood_for(error: Exception, tmp_path: Path) -> None:
    result = unpack(Sweep(tmp_path).job(0), pack(raised(error)).outcome)
    with pytest.raises(TaskError, match=type(error).__name__) as caught:
        _ = result.return_value
    assert "in raised" in str(caught.value.__cause__)


def test_an_outcome_that_cannot_be_read_fails_the_job(tmp_path: Path) -> None:
    result = unpack(Sweep(tmp_path).job(4), b"rubbish")
    assert result.status == JobStatus.FAILED
    with pytest.raises(JobFailed, match="job 4: its result can't be unpickled"):
        _ = result.return_value


def test_leaving_the_program_is_a_failure_like_any_other() -> None:
    with pytest.raises(TaskExited, match=r"sys\.exit\(3\)"):
        guard(lambda cfg: sys.exit(3))(OmegaConf.create())

    def interrupted(cfg: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(TaskExited, match="was interrupted"):
        guard(interrupted)(OmegaConf.create())
    assert cloudpickle.loads(cloudpickle.dumps(TaskExited("x"))).args == ("x",)


def test_a_process_is_as_before_after_a_job(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LAUNCHER_TEST", "before")
    folder, path = Path.cwd(), list(sys.path)
    with restored_process():
        os.chdir(tmp_path)
        os.environ.update(LAUNCHER_TEST="after", LAUNCHER_NEW="1")
        sys.path.insert(0, "nowhere")
    assert (Path.cwd(), sys.path, os.environ["LAUNCHER_TEST"]) == (folder, path, "before")
    assert "LAUNCHER_NEW" not in os.environ


def test_output_of_children_is_kept_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with output_to(tmp_path):
        print("from Python")
        subprocess.run(["/bin/sh", "-c", "echo from a child; echo an error >&2"], check=True)
    assert (tmp_path / "stdout.log").read_text() == "from Python\nfrom a child\n"
    assert (tmp_path / "stderr.log").read_text() == "an error\n"
    assert capfd.readouterr() == ("", "")


def test_resources_are_each_jobs_own(tmp_path: Path) -> None:
    resources = {"cpu": "${twice}", "gpu": 0, "custom": {"licence": "${optimizer.momentum}"}}
    sweep = Sweep(tmp_path)
    asked = [
        job_resources(with_launcher(sweep.job(n, f"lr={n}"), resources=resources)) for n in (1, 2)
    ]
    assert asked == [Resources(cpu, 0.0, {"licence": 0.9}) for cpu in (1.0, 2.0)]
    assert asked[1].bundle() == {"CPU": 2.0, "licence": 0.9}


def test_a_job_that_holds_nothing_runs_on_the_head_node() -> None:
    assert list(Resources(0.0, 0.0).bundle()) == [HEAD_NODE]


def test_counts_of_the_cluster_are_the_largest_of_any_job(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    jobs = [
        with_launcher(sweep.job(n), init={"num_cpus": n, "resources": {f"kind_{n}": n, "all": n}})
        for n in (2, 1)
    ]
    assert init_arguments(jobs) == {
        "num_cpus": 2,
        "resources": {"kind_2": 2, "kind_1": 1, "all": 2},
    }


def test_jobs_that_want_different_clusters_are_refused(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    jobs = [with_launcher(sweep.job(n), init={"address": f"host:{n}"}) for n in (1, 2)]
    expected = r"hydra\.launcher\.init\.address=host:1: another job wants host:2, but all jobs"
    with pytest.raises(LauncherError, match=expected):
        init_arguments(jobs)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("Worker exit detail: ... connection error code 2. End of file.", "ended suddenly"),
        ("Task was killed due to the node running low on memory.", "ran out of memory"),
        ("The actor died because its node has died.", "its node died"),
        ("Worker exit detail: Creation failed.\n", r"was lost \(Creation failed\)"),
    ],
)
def test_a_death_is_told_in_one_line(error: str, cause: str) -> None:
    with pytest.raises(JobFailed, match=cause):
        raise JobFailed(cause_of_death(error))
    assert "\n" not in cause_of_death(error)


def test_the_plugin_imports_neither_ray_nor_torch() -> None:
    code = (
        "import sys; from hydra.core.plugins import Plugins; Plugins.instance();"
        "assert 'hydra_plugins.hrfs_ray_tune_launcher.launcher' in sys.modules;"
        "print([m for m in ('ray', 'torch', 'pydantic') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
