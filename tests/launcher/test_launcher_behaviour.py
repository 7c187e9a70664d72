"""What a job sees and may ask for, in the session's cluster, which the launcher joins."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.test_utils.test_utils import TSweepRunner
from omegaconf import DictConfig

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

Plugins.instance()

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("hydra_restore_singletons"),
]

Run = Callable[..., list[JobReturn]]


class Diary(Callback):  # type: ignore[misc]
    """Writes down, in the job's folder, what it is told and in which process."""

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._write(config, "start")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        self._write(config, f"end {job_return.status.name}")

    def _write(self, config: DictConfig, what: str) -> None:
        with Path(config.hydra.runtime.output_dir, "diary").open("a") as diary:
            diary.write(f"{what} {os.getpid()}\n")


@pytest.fixture
def run(ray_cluster: Cluster, hydra_sweep_runner: TSweepRunner, tmp_path: Path) -> Run:
    """Runs a task over a sweep and returns the jobs' results; raises what a job has raised."""

    def launch(task: Callable[[DictConfig], Any], *overrides: str) -> list[JobReturn]:
        sweep = hydra_sweep_runner(
            calling_file=None,
            calling_module="hydra.test_utils.a_module",
            task_function=task,
            config_path="configs",
            config_name="compose.yaml",
            overrides=["hydra/launcher=ray_tune", *overrides],
            temp_dir=tmp_path / "sweep",  # type: ignore[arg-type]
        )
        sweep.__enter__()  # its exit would delete the jobs' folders
        return [result for batch in sweep.returns or () for result in batch]

    return launch


def test_a_job_sees_what_the_basic_launcher_shows(run: Run, tmp_path: Path) -> None:
    here = str(Path.cwd())

    def task(cfg: DictConfig) -> dict[str, Any]:
        import logging

        import ray
        from hydra.core.hydra_config import HydraConfig
        from hydra.utils import get_original_cwd

        logging.getLogger("task").info("logged")
        held = ray.get_runtime_context().get_assigned_resources()
        return {
            "cwd": str(Path.cwd()),
            "original": get_original_cwd(),
            "number": HydraConfig.get().job.num,
            "set": os.environ["LAUNCHER_SET"],
            "cpu": sum(n for name, n in held.items() if name == "CPU"),
            "pid": os.getpid(),
        }

    results = run(
        task,
        "bar=1,2",
        "hydra.launcher.resources.cpu=${bar}",
        "+hydra.job.env_set.LAUNCHER_SET=yes",
        "hydra.launcher.max_concurrent=1",
        "+hydra.callbacks.diary._target_=test_launcher_behaviour.Diary",
        "hydra.job.chdir=true",
    )
    values = [result.return_value for result in results]
    folders = [os.path.realpath(tmp_path / "sweep" / str(n)) for n in range(2)]
    assert [value["number"] for value in values] == [0, 1]
    assert [os.path.realpath(value["cwd"]) for value in values] == folders
    assert {value["original"] for value in values} == {here}
    assert {value["set"] for value in values} == {"yes"}
    assert [value["cpu"] for value in values] == [1, 2]
    assert all(value["pid"] != os.getpid() for value in values)
    for number, folder in enumerate(folders):
        diary = Path(folder, "diary").read_text().splitlines()
        pid = values[number]["pid"]
        assert diary == [f"start {pid}", f"end COMPLETED {pid}"]
        assert "logged" in Path(folder, "a_module.log").read_text()
    import ray

    assert ray.is_initialized()  # it was not ours to end


def whereabouts(cfg: DictConfig) -> tuple[str, int]:
    """Where a job runs: folder and process."""
    return str(Path.cwd()), os.getpid()


@pytest.mark.parametrize("reuse", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_processes_are_reused_or_not_and_stay_where_the_program_is(run: Run, reuse: bool) -> None:
    settings = [f"hydra.launcher.reuse_processes={reuse}", "hydra.launcher.max_concurrent=1"]
    seen = [
        result.return_value
        for result in run(whereabouts, "+x=1,2,3", "hydra.job.chdir=false", *settings)
    ]
    assert {folder for folder, _ in seen} == {str(Path.cwd())}
    assert len({pid for _, pid in seen}) == (1 if reuse else 3)


def attempts_before(folder: Path, wanted: int) -> bool:
    """Count this attempt in ``folder``; whether it is one too early."""
    folder.mkdir(exist_ok=True)
    (folder / f"attempt_{len(list(folder.iterdir()))}").touch()
    return len(list(folder.iterdir())) < wanted


def test_a_job_whose_process_died_is_tried_again(run: Run, tmp_path: Path) -> None:
    def dies_twice(cfg: DictConfig) -> int:
        if attempts_before(tmp_path / "attempts", 3):
            os.kill(os.getpid(), signal.SIGKILL)
        return 7

    (result,) = run(dies_twice, "hydra.launcher.max_failures=2")
    assert result.return_value == 7


@pytest.mark.parametrize(("again", "attempts"), [(False, 1), (True, 3)])
def test_a_task_that_raises_is_tried_again_only_if_asked(
    run: Run, tmp_path: Path, again: bool, attempts: int
) -> None:
    def raises(cfg: DictConfig) -> None:
        attempts_before(tmp_path / "attempts", 99)
        raise ValueError("boom")

    settings = ("hydra.launcher.max_failures=2", f"hydra.launcher.retry_exceptions={again}")
    with pytest.raises(ValueError, match="boom") as caught:
        run(raises, *settings)
    assert "in raises" in str(caught.value.__cause__)
    assert len(list((tmp_path / "attempts").iterdir())) == attempts


def test_what_the_cluster_lacks_is_said_before_anything_waits(run: Run) -> None:
    from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError

    with pytest.raises(LauncherError, match=r"resources\.cpu=64: job 0 asks for more than any"):
        run(whereabouts, "hydra.launcher.resources.cpu=64")
    with pytest.raises(LauncherError, match=r"task function=.*can't be sent to other processes"):
        run(Unsendable())


class Unsendable:
    """A task that holds what cannot be pickled."""

    def __init__(self) -> None:
        import threading

        self.lock = threading.Lock()

    def __call__(self, cfg: DictConfig) -> None:
        """Never called."""


def test_the_private_names_of_tune_are_there(ray_cluster: Cluster) -> None:
    import inspect

    from ray._private import worker
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.air.execution.resources.placement_group import PlacementGroupResourceManager
    from ray.tune.execution.tune_controller import TuneController

    from hydra_plugins.hrfs_ray_tune_launcher import _privates

    made = inspect.getsource(TuneController.__init__)
    assert [name for name in _privates.CONTROLLER_NAMES if f"self.{name}" not in made] == []
    manager = RayActorManager(PlacementGroupResourceManager())
    assert [name for name in _privates.ACTOR_MANAGER_NAMES if not hasattr(manager, name)] == []
    assert callable(worker.print_to_stdstream)
