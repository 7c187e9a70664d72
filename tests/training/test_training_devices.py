"""A number format or torch.compile that a device cannot do is refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import WORKER, request, same, settings

from hrfs.experiment.errors import ConfigError
from hrfs.training.capabilities import check_device
from hrfs.training.device_check import check_compiler, check_workers
from hrfs.training.optimizers import restore_optimizer
from hrfs.training.runner import build
from hrfs.training.settings import TrainerSettings
from hrfs.training.state import TrialState, load_state

pytestmark = pytest.mark.torch

CUDA = torch.device("cuda", 0)
GPU = replace(WORKER, name="there/gpu:0", kind="gpu", gpus=1.0)


def test_float16_on_a_cpu() -> None:
    rule = r"trainer\.precision=16-mixed: worker here/cpu/0, a CPU, can do 32-true, 64-true, bf16-"
    with pytest.raises(ConfigError, match=rule):
        check_workers(settings(precision="16-mixed"), [GPU, WORKER])
    check_workers(settings(precision="16-mixed"), [GPU])
    check_workers(settings(precision="auto"), [GPU, WORKER])
    runner = build(settings(precision="16-mixed"))
    runner.begin(3)
    with pytest.raises(ConfigError, match=rule):
        runner.run(request(0, 1))


def test_bfloat16_on_a_gpu_known_to_lack_it() -> None:
    old = replace(GPU, kind="gpu:V100")
    rule = (
        r"trainer\.precision=bf16-mixed: worker there/gpu:0, a V100, can do 32-true, 64-true, 16-"
    )
    with pytest.raises(ConfigError, match=rule):
        check_workers(settings(precision="bf16-mixed"), [old])
    check_workers(settings(precision="bf16-mixed"), [GPU, WORKER])


class FakeGpu:
    """What torch says of a GPU."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, bf16: bool, capability: tuple[int, int]
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Quadro 1")


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_bfloat16_on_a_gpu_that_says_so_itself(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeGpu(monkeypatch, bf16=False, capability=(7, 5))
    rule = r"worker there/gpu:0, Quadro 1, can do 32-true, 64-true, 16-mixed"
    with pytest.raises(ConfigError, match=rule):
        check_device(TrainerSettings(precision=precision), GPU, CUDA)
    check_device(TrainerSettings(precision="16-mixed"), GPU, CUDA)


def test_compiling_for_an_old_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGpu(monkeypatch, bf16=False, capability=(6, 1))
    rule = r"trainer\.compile=true: worker there/gpu:0, Quadro 1, can train without compiling only"
    with pytest.raises(ConfigError, match=rule):
        check_device(TrainerSettings(compile=True), GPU, CUDA)
    check_device(TrainerSettings(compile="auto"), GPU, CUDA)


@pytest.mark.parametrize("mode", [True, "default", "max-autotune"])
def test_compiling_without_a_compiler(mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = TrainerSettings(compile=mode)
    check_compiler(trainer)
    monkeypatch.setenv("CXX", "no-such-compiler")
    rule = r"trainer\.compile=\S+: this machine can train without compiling only: there is no C\+\+"
    with pytest.raises(ConfigError, match=rule):
        check_compiler(trainer)
    with pytest.raises(ConfigError, match=r"worker here/cpu/0, .*no-such-compiler"):
        check_device(trainer, WORKER, torch.device("cpu"))
    check_compiler(TrainerSettings(compile="auto"))


def moved(orders: list[bool], folder: Path) -> TrialState:
    """Trial 3 after six steps, two on each of three workers of these memory orders."""
    file = folder / "moving"
    for number, channels_last in enumerate(orders):
        runner = build(settings(channels_last=channels_last))
        runner.begin(3) if number == 0 else runner.load(file)
        runner.run(request(2 * number, 2))
        runner.save(file)
    return load_state(file)


def test_a_trial_moves_between_memory_orders(tmp_path: Path) -> None:
    there, back = moved([True, False, True], tmp_path), moved([True, True, True], tmp_path)
    for left, right in (
        (there.state_dict, back.state_dict),
        (there.optimizer_states[0]["state"], back.optimizer_states[0]["state"]),
    ):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-5)
    momentum = there.optimizer_states[0]["state"][0]["momentum_buffer"]
    assert momentum.is_contiguous(memory_format=torch.channels_last)


def test_momentum_of_another_memory_order_keeps_its_values() -> None:
    def optimizer(order: torch.memory_format, **how: bool) -> torch.optim.SGD:
        weight = torch.ones(4, 3, 3, 3).contiguous(memory_format=order).requires_grad_()
        return torch.optim.SGD([weight], lr=0.1, momentum=0.9, **how)

    old = optimizer(torch.contiguous_format)
    gradient = torch.randn(4, 3, 3, 3)
    weight = old.param_groups[0]["params"][0]
    weight.grad = gradient.clone()
    old.step()
    new = optimizer(torch.channels_last, fused=True)
    restore_optimizer(new, old.state_dict())
    (weight,) = new.param_groups[0]["params"]
    momentum = new.state[weight]["momentum_buffer"]
    assert momentum.stride() == weight.stride() != gradient.stride()
    assert same(momentum, gradient)
    assert new.param_groups[0]["fused"] is True  # how it is computed is not the file's to say
    assert new.param_groups[0]["momentum"] == 0.9
    weight.grad = gradient.contiguous(memory_format=torch.channels_last)
    before = weight.detach().clone()
    new.step()
    torch.testing.assert_close(weight.detach(), before - 0.1 * 1.9 * gradient)
