"""Every private name of Ray Tune that the adapter touches is still there."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def controller_source() -> str:
    from ray.tune.execution.tune_controller import TuneController

    return inspect.getsource(TuneController)


def test_controller_attributes(controller_source: str) -> None:
    from hrfs.tuning.privates import CONTROLLER_NAMES

    for name in CONTROLLER_NAMES:
        assert f"self.{name}" in controller_source or f"def {name}(" in controller_source, name


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_set_trial_status", ["self", "trial", "status"]),
        ("_unstage_trial_with_resources", ["self", "trial"]),
        ("_schedule_trial_pause", ["self", "trial", "should_checkpoint"]),
        ("stop_trial", ["self", "trial"]),
        ("request_stop_experiment", ["self"]),
    ],
)
def test_controller_methods_take_what_we_give(method: str, parameters: list[str]) -> None:
    from ray.tune.execution.tune_controller import TuneController

    assert list(inspect.signature(getattr(TuneController, method)).parameters) == parameters


def test_a_process_can_be_killed_and_forgotten() -> None:
    from ray.air.execution._internal.actor_manager import RayActorManager

    kill = inspect.signature(RayActorManager.remove_actor).parameters
    assert list(kill) == ["self", "tracked_actor", "kill", "stop_future"]
    forget = inspect.signature(RayActorManager.clear_actor_task_futures).parameters
    assert list(forget) == ["self", "tracked_actor"]


def test_tune_caches_a_process_only_while_something_is_staged(controller_source: str) -> None:
    # The sentinel's reason to be: should this go, so may the sentinel.
    assert "if self._search_alg.is_finished() and not self._staged_trials:" in controller_source


def test_actor_cache_counts_by_resources() -> None:
    from ray.tune.utils.object_cache import _ObjectCache

    cache: Any = _ObjectCache(may_keep_one=True)
    cache.increase_max("worker")
    assert cache.cache_object("worker", "process")
    assert not cache.cache_object("worker", "second process")
    cache.decrease_max("worker")
    assert list(cache.flush_cached_objects(force_all=True)) == ["process"]


def test_checkpoint_manager_keeps_a_list_and_a_latest() -> None:
    from ray.train._internal.checkpoint_manager import _CheckpointManager

    manager = _CheckpointManager(None)
    assert manager._checkpoint_results == []
    assert manager._latest_checkpoint_result is None
    manager._latest_checkpoint_result = "chosen"  # type: ignore[assignment]
    assert manager.latest_checkpoint_result == "chosen"


def test_training_result_has_checkpoint_and_metrics() -> None:
    from ray.train._internal.session import _TrainingResult

    assert list(inspect.signature(_TrainingResult).parameters) == ["checkpoint", "metrics"]


def test_storage_has_what_saving_in_place_needs() -> None:
    from ray.train._internal.storage import StorageContext

    for name in ("_update_checkpoint_index", "_check_validation_file", "checkpoint_fs_path"):
        assert hasattr(StorageContext, name), name
    assert "current_checkpoint_index" in inspect.signature(StorageContext).parameters


def test_trainable_keeps_storage_and_last_result() -> None:
    from ray.tune import Trainable

    source = inspect.getsource(Trainable.__init__)
    assert "self._storage" in source
    assert "self._last_result" in source


def test_equal_placements_are_equal_keys() -> None:
    from hrfs.experiment.records import WorkerInfo
    from hrfs.tuning.allocation import Bundle
    from hrfs.tuning.dispatch import placement

    def bundle(node: str) -> Bundle:
        return Bundle(WorkerInfo("w", "cpu", "n", 1.0), node, {"CPU": 1.0})

    assert placement(bundle("a")) == placement(bundle("a"))
    assert hash(placement(bundle("a"))) == hash(placement(bundle("a")))
    assert placement(bundle("a")) != placement(bundle("b"))


def test_the_actors_of_trials_get_from_the_driver_what_tune_would_set() -> None:
    from ray.tune.execution.class_cache import DEFAULT_ENV_VARS, ENV_VARS_TO_PROPAGATE

    from hrfs.tuning.session import TUNE_ENVIRONMENT

    assert DEFAULT_ENV_VARS.items() <= TUNE_ENVIRONMENT.items()
    # Only what the driver has, and so what Ray's processes have from it.
    assert "RAY_CHDIR_TO_TRIAL_DIR" in ENV_VARS_TO_PROPAGATE


def test_actor_classes_without_a_runtime_environment_are_made_once() -> None:
    from ray.tune.execution.class_cache import _ActorClassCache

    from hrfs.tuning.private_actors import PlainActors
    from hrfs.tuning.trainable import SliceTrainable

    theirs, ours = _ActorClassCache(), PlainActors()
    assert theirs.get(SliceTrainable)._default_options["runtime_env"] is not None
    assert ours.get(SliceTrainable)._default_options.get("runtime_env") is None
    assert ours.get(SliceTrainable) is ours.get(SliceTrainable)
