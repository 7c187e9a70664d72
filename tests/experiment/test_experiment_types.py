"""Errors, slice requests, factories by name, and first hyperparameters."""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict

import pytest

from hrfs.core.search_space import Choice, Hyperparameter, IntRange, LogUniform, Uniform
from hrfs.experiment.errors import EXIT_BAD_INPUT, ConfigError
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SLICE_COLUMNS, SliceRecord, WorkerInfo
from hrfs.experiment.slices import SliceRequest, resolve_factory

# Errors


def test_an_error_is_one_line_with_key_value_and_rule() -> None:
    error = ConfigError("interval", 0, "must be at least 1", "try interval=50")
    assert str(error) == "interval=0: must be at least 1; try interval=50"
    assert str(ConfigError("seed", None, "must be a number")) == "seed=None: must be a number"
    assert isinstance(error, ValueError)
    assert EXIT_BAD_INPUT == 2


def test_line_breaks_within_an_error_are_folded() -> None:
    error = ConfigError("dataset.root", "a\nb", "no such\n  folder", "fetch it\n\tfirst")
    assert str(error) == "dataset.root=a b: no such folder; fetch it first"


def test_an_error_survives_the_way_from_a_worker() -> None:
    error = ConfigError("key", (1, 2), "rule", "remedy")
    again = pickle.loads(pickle.dumps(error))
    assert (again.key, again.value, again.rule, again.remedy) == ("key", (1, 2), "rule", "remedy")
    assert str(again) == str(error)


# Slices


def test_a_request_survives_the_way_through_a_trial_config() -> None:
    worker = WorkerInfo("host/gpu0", "gpu:A100", "host", cpus=2, gpus=0.5, slowdown=3.0)
    request = SliceRequest(7, 3, 50, 25, worker, {"lr": 0.1, "layers": [1, 2]})
    plain = json.loads(json.dumps(request.to_dict()))
    assert SliceRequest.from_dict(plain) == request
    assert plain["worker"]["kind"] == "gpu:A100"
    with pytest.raises(TypeError, match="speed"):
        SliceRequest.from_dict({**plain, "speed": 1})


def test_a_worker_is_on_a_gpu_if_it_has_one() -> None:
    assert WorkerInfo("w", "gpu", "host", cpus=1, gpus=0.5).on_gpu
    assert not WorkerInfo("w", "gpu", "host", cpus=1, slowdown=4.0).on_gpu


def test_a_record_tells_iterations_and_seconds() -> None:
    record = SliceRecord(0, 1, "w", start_s=2.0, end_s=5.5, from_iteration=50, to_iteration=75)
    assert (record.iterations, record.duration_s) == (25, 3.5)
    assert tuple(SliceRecord.__dataclass_fields__)[:7] == SLICE_COLUMNS


def test_a_factory_is_found_by_name() -> None:
    assert resolve_factory("collections:OrderedDict") is OrderedDict


def test_a_factory_that_cannot_be_found_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^'collections.OrderedDict' must have the form 'pack"):
        resolve_factory("collections.OrderedDict")
    with pytest.raises(ImportError, match="nosuch"):
        resolve_factory("nosuch.module:name")
    with pytest.raises(AttributeError, match="nosuch"):
        resolve_factory("collections:nosuch")


# Plans

SPACE = {
    "lr": Hyperparameter(LogUniform(1e-4, 1.0)),
    "momentum": Hyperparameter(Uniform(0.001, 1.0)),
    "layers": Hyperparameter(IntRange(1, 100)),
    "act": Hyperparameter(Choice(("relu", "gelu", "silu"))),
}


def _plan(seed: int, trials: int = 20) -> Plan:
    return Plan(
        trials, stop_iterations=1000, interval_iterations=50, search_space=SPACE, seeds=(seed,)
    )


def test_first_values_depend_on_seed_and_trial_alone() -> None:
    small, large = _plan(seed=0, trials=2), _plan(seed=0, trials=50)
    backwards = [large.initial_hyperparameters(trial) for trial in reversed(range(50))][::-1]
    assert [small.initial_hyperparameters(trial) for trial in (0, 1)] == backwards[:2]
    assert large.initial_hyperparameters(0) == backwards[0]  # asked twice, the same


def test_first_values_differ_by_seed_and_by_trial() -> None:
    drawn = [
        _plan(seed).initial_hyperparameters(trial)["lr"] for seed in range(10) for trial in range(9)
    ]
    assert len(set(drawn)) == 90
