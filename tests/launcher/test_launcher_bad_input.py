"""What cannot be run is refused in one line, before anything waits for it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.errors import CompactHydraException

from hrfs.cli.errors import explain
from hrfs.experiment.errors import ConfigError
from hydra_plugins.hrfs_ray_tune_launcher._checks import (
    check_init,
    check_limits,
    check_requests,
    unanswered,
)
from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError
from hydra_plugins.hrfs_ray_tune_launcher._options import Resources

ROOT = Path(__file__).resolve().parents[2]
HEAD = {
    "CPU": 4.0, "GPU": 1.0, "memory": 8 * 2.0**30, "object_store_memory": 2.0**30,
    "node:10.0.0.1": 1.0, "node:__internal_head__": 1.0, "accelerator_type:H100": 1.0,
    "scratch_disk": 2.0,
}  # fmt: skip
SPARE = {"CPU": 16.0, "memory": 4 * 2.0**30, "node:10.0.0.2": 1.0}
NODES = [HEAD, SPARE, SPARE]
HAS = (
    "3 nodes: cpu 4, gpu 1, memory 8.0 GiB, scratch_disk 2 / 2 x (cpu 16, memory 4.0 GiB)"
)  # fmt: skip


def line_of(check: Callable[[], object]) -> str:
    with pytest.raises(LauncherError) as error:
        check()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("limit", [None, 1, 100])
def test_limits_that_can_be_kept(limit: int | None) -> None:
    check_limits(limit, 0)
    check_limits(limit, 3)


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        ((0, 0), "hydra.launcher.max_concurrent=0: must be at least 1, or no job would ever start; "
                 "null sets no limit"),
        ((-1, 0), "hydra.launcher.max_concurrent=-1: must be at least 1"),
        ((None, -1), "hydra.launcher.max_failures=-1: must be at least 0; it is how often a job "
                     "is tried again after its worker died"),
    ],
)  # fmt: skip
def test_limits_that_cannot(limits: tuple[int | None, int], line: str) -> None:
    assert line_of(lambda: check_limits(*limits)).startswith(line)


def test_keys_of_init() -> None:
    known = ["address", "num_cpus", "num_gpus", "include_dashboard"]
    check_init({"num_cpus": 3, "address": None}, known)
    assert line_of(lambda: check_init({"num_cpu": 3}, known)) == (
        "hydra.launcher.init.num_cpu=3: ray.init takes no such argument; "
        "did you mean num_cpus or num_gpus?"
    )
    assert "there are: address, include_dashboard" in line_of(lambda: check_init({"q": 3}, known))


@pytest.mark.parametrize(
    "fits",
    [
        Resources(),
        Resources(cpu=16),
        Resources(cpu=0, gpu=0.25),
        Resources(cpu=4, gpu=1, custom={"scratch_disk": 2}),
        Resources(custom={"memory": 2.0**30}),
    ],
)
def test_what_fits_passes(fits: Resources) -> None:
    check_requests({0: fits, 1: Resources()}, NODES)


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (Resources(cpu=17), "hydra.launcher.resources.cpu=17: job 3 asks for more than any node "
                            f"has, at most 16; the cluster has {HAS}"),
        (Resources(gpu=2), "hydra.launcher.resources.gpu=2: job 3 asks for more than any node has, "
                           f"at most 1; the cluster has {HAS}"),
        (Resources(cpu=16, gpu=1), "hydra.launcher.resources=cpu 16, gpu 1: job 3 asks for more "
                                   f"than any one node has at once; the cluster has {HAS}"),
        (Resources(custom={"scratch_disc": 1}),
         "hydra.launcher.resources.custom.scratch_disc=1: job 3 asks for a resource that no node "
         f"has; the cluster has {HAS}; did you mean scratch_disk?"),
        (Resources(custom={"tpu": 1}),
         "hydra.launcher.resources.custom.tpu=1: job 3 asks for a resource that no node has; the "
         f"cluster has {HAS}"),
        (Resources(custom={"cpu": 1}),
         "hydra.launcher.resources.custom.cpu=1: job 3 asks for a resource that no node has; the "
         f"cluster has {HAS}; did you mean hydra.launcher.resources.cpu?"),
        (Resources(custom={"scratch_disk": 3}),
         "hydra.launcher.resources.custom.scratch_disk=3: job 3 asks for more than any node has, "
         "at most 2"),
        (Resources(cpu=-1), "hydra.launcher.resources.cpu=-1: must be a number from 0 on (job 3)"),
        (Resources(gpu=float("nan")),
         "hydra.launcher.resources.gpu=nan: must be a number from 0 on (job 3)"),
        (Resources(cpu=float("inf")),
         "hydra.launcher.resources.cpu=inf: must be a number from 0 on (job 3)"),
        (Resources(custom={"scratch_disk": -0.5}),
         "hydra.launcher.resources.custom.scratch_disk=-0.5: must be a number from 0 on (job 3)"),
        (Resources(gpu=1.5), "hydra.launcher.resources.gpu=1.5: must be a whole number, or a "
                             "share of one GPU (job 3)"),
    ],
)  # fmt: skip
def test_what_no_node_has_is_refused(request_: Resources, line: str) -> None:
    assert line_of(lambda: check_requests({2: Resources(), 3: request_}, NODES)).startswith(line)


def test_a_cluster_of_one_node() -> None:
    line = line_of(lambda: check_requests({0: Resources(cpu=8)}, [{"CPU": 4.0}]))
    assert line.endswith("at most 4; the cluster has 1 node: cpu 4")


def test_a_cluster_without_resources() -> None:
    line = line_of(lambda: check_requests({0: Resources()}, [{"node:10.0.0.1": 1.0}]))
    assert line.endswith("at most 0; the cluster has 1 node: nothing")


def test_an_address_that_does_not_answer() -> None:
    error = unanswered("10.0.0.1:6379", 5.0, RuntimeError("refused\nlong story"))
    assert str(error) == (
        "hydra.launcher.init.address=10.0.0.1:6379: no Ray cluster answers there within 5 s "
        "(refused); start it, mend the address or its token, or leave out init.address to use "
        "this machine"
    )
    assert "(TimeoutError)" in str(unanswered("10.0.0.1:6379", None, TimeoutError()))


def test_hydra_and_hrfs_both_know_the_error() -> None:
    error = LauncherError("hydra.launcher.resume", "true", "a\n  rule", "a remedy")
    assert isinstance(error, CompactHydraException)
    assert isinstance(explain(error, [], []), ConfigError)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (
        LauncherError,
        "hydra.launcher.resume=true: a rule; a remedy",
    )


# On the screen.

APP = """
import hydra


@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    open("ran", "w").close()


if __name__ == "__main__":
    main()
"""


def screen(folder: Path, *command: str) -> tuple[int, str]:
    """Exit code and standard error of a Python command."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("hydra.launcher.max_concurrent=0", "hydra.launcher.max_concurrent=0: must be at least 1"),
        ("hydra.launcher.resume=true", "hydra.launcher.resume=true: there is no sweep directory "),
        ("hydra.launcher.resources.cpu=1000", "hydra.launcher.resources.cpu=1000: job 0 asks for"),
    ],
)
def test_one_line_in_any_hydra_program(tmp_path: Path, override: str, line: str) -> None:
    (tmp_path / "my_app.py").write_text(APP)
    code, told = screen(
        tmp_path, "my_app.py", "-m", "hydra/launcher=ray_tune", "+x=1,2", override,
        "hydra.sweep.dir=sweep", "hydra.launcher.init.num_cpus=2",
    )  # fmt: skip
    assert code == 1
    first, *rest = told.strip().splitlines()
    assert first.startswith(line)
    hydras_own = "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace."
    assert [text for text in rest if text] == [hydras_own]
    assert not (tmp_path / "ran").exists()
    assert (tmp_path / "sweep").exists() != ("resume" in override)


@pytest.mark.ray
@pytest.mark.slow
def test_one_line_and_exit_code_2_in_hrfs(tmp_path: Path) -> None:
    code, told = screen(
        tmp_path, "-m", "hrfs", "-m", "hydra/launcher=ray_tune", "experiment=smoke", "seed=0,1",
        "hydra.launcher.max_concurrent=0", "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert (code, told) == (
        2,
        "hrfs: hydra.launcher.max_concurrent=0: must be at least 1, or no job would ever start; "
        "null sets no limit\n",
    )
