"""What counts as diverged, and that nothing goes on from half a slice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_helpers import WORKER, request

from hrfs.experiment.slices import SliceResult
from hrfs.training.health import all_finite, any_nan, is_healthy
from hrfs.training.memory import memory_hint
from hrfs.training.runner import LightningSliceRunner, build

pytestmark = pytest.mark.torch

INF, NAN = math.inf, math.nan
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def faulty(fault: str, dataset: Mapping[str, Any] | None = None, **changes: Any) -> Any:
    return build(
        {
            "model": {"_target_": "training_faults.Faulty", "fault": fault, **changes},
            "dataset": {"_target_": "training_faults.FaultyData", **(dataset or {})},
            "trainer": {},
            "seed": 0,
            "allowed_targets": ["training_faults.", "training_helpers."],
        }
    )


def one_slice(runner: LightningSliceRunner) -> SliceResult:
    runner.begin(3)
    return runner.run(request(0, 4, lr=0.05))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_one_bad_number_is_found_wherever_it_is(dtype: torch.dtype, bad: float) -> None:
    clean = [torch.ones(3, 5, dtype=dtype), torch.tensor(2.0), torch.empty(0), torch.arange(4)]
    assert all_finite(clean)
    assert not any_nan(clean)
    for place in range(15):
        spoilt = torch.ones(15, dtype=dtype)
        spoilt[place] = bad
        found = [*clean, spoilt.reshape(3, 5)]
        assert not all_finite(found)
        assert any_nan(found) == math.isnan(bad)


def test_what_has_no_order_and_no_number_is_handled() -> None:
    assert all_finite([])
    assert all_finite([torch.ones(2, dtype=torch.complex64), torch.ones(2, dtype=torch.bool)])
    assert not all_finite([torch.tensor([1 + 1j, complex(0, INF)])])
    largest = torch.full((2,), torch.finfo(torch.float32).max)
    assert all_finite([largest, -largest]), "no sum that could overflow"


@pytest.mark.parametrize("fault", ["nan loss", "weight", "buffer", "optimizer"])
def test_a_slice_that_leaves_a_number_that_is_none_has_diverged(fault: str) -> None:
    result = one_slice(faulty(fault))
    assert result.diverged
    if fault != "nan loss":
        assert math.isfinite(result.metrics["train/loss"]), "the loss alone would not tell"


@pytest.mark.parametrize("fault", ["none", "side metric", "nan score", "infinite score"])
def test_metrics_and_an_infinite_mask_are_no_divergence(fault: str) -> None:
    # The metric that ranks is judged by the driver, which alone knows which one that is.
    result = one_slice(faulty(fault))
    assert not result.diverged
    assert math.isfinite(result.metrics["val/acc"]) == (fault in ("none", "side metric"))


def test_the_driver_takes_a_score_that_is_not_finite_for_divergence() -> None:
    from hrfs.tuning.dispatch import score_of

    for fault in ("nan score", "infinite score"):
        metrics = one_slice(faulty(fault)).metrics
        assert math.isnan(score_of(metrics, "val/acc"))
    assert score_of(one_slice(faulty("side metric")).metrics, "val/acc") >= 0


def test_a_constructor_that_raises_half_way_leaves_no_trial(tmp_path: Path) -> None:
    runner = faulty("constructor")
    runner.begin(3)
    runner.run(request(0, 2, lr=0.05, rate=0.1))
    runner.save(tmp_path / "state")
    with pytest.raises(ValueError, match=r"rate 0\.9 is too high"):
        runner.run(request(2, 2, lr=0.05, rate=0.9))
    with pytest.raises(RuntimeError, match="no trial is held"):
        runner.run(request(2, 2, lr=0.05, rate=0.2))
    runner.load(tmp_path / "state")
    runner.run(request(2, 2, lr=0.05, rate=0.2))


def test_a_killed_process_of_a_data_loader_ends_the_slice_and_no_more(tmp_path: Path) -> None:
    marker = tmp_path / "kill"
    runner = faulty("none", {"workers": 1, "marker": str(marker)})
    runner.begin(3)
    runner.run(request(0, 4, lr=0.05))
    runner.save(tmp_path / "state")
    marker.touch()
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid.*(exited|killed)"):
        runner.run(request(4, 4, lr=0.05))
    assert not marker.exists()
    with pytest.raises(RuntimeError, match="no trial is held"):
        runner.save(tmp_path / "half")
    runner.load(tmp_path / "state")
    assert not runner.run(request(4, 4, lr=0.05)).diverged


def test_the_gpu_s_driver_that_has_no_memory_is_told_with_a_hint() -> None:
    with (
        pytest.raises(RuntimeError, match=r"ran out of CPU memory: lower dataset\.batch_size"),
        memory_hint(WORKER),
    ):
        raise RuntimeError("CUDA error: out of memory")


def test_no_module_is_needed_to_be_a_batch_norm() -> None:
    net: Any = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1))
    assert is_healthy(net, [])
