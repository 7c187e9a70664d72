"""What must hold where a GPU is in play: a trial moves between devices and stays itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import (
    WORKER,
    Recorder,
    own_model,
    request,
    same,
    settings,
    small_model,
    synthetic,
)

from hrfs.experiment.checkpoint import read_checkpoint
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceResult
from hrfs.training.final import evaluate_winner
from hrfs.training.runner import LightningSliceRunner, build
from hrfs.training.state import TrialState, load_state

pytestmark = [
    pytest.mark.torch,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

GPU = replace(WORKER, name="here/gpu/0", kind="gpu", gpus=1.0)
RECORDED = {**small_model(), "_target_": "training_helpers.Recorder"}
AUGMENTED = synthetic(augment=True, cutout=3)


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """The same sums in the same order each time, in full single precision."""
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = True, False
    yield
    torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def seen() -> Iterator[dict[str, list[Any]]]:
    """What Recorder writes down."""
    Recorder.seen = {}
    yield Recorder.seen
    Recorder.seen = {}


def assert_same_state(left: TrialState, right: TrialState) -> None:
    assert left.optimizer_states, "a state without momentum would compare too little"
    for name in ("state_dict", "optimizer_states", "trial", "iteration", "hyper_parameters"):
        assert same(getattr(left, name), getattr(right, name)), name


def saved(runner: LightningSliceRunner, file: Path) -> TrialState:
    runner.save(file)
    return load_state(file)


def moved(plain: dict[str, Any], file: Path, worker: WorkerInfo, start: int) -> SliceResult:
    """A slice of four steps in a new runner, from ``file`` (if not the first) to ``file``."""
    runner = build(plain)
    runner.begin(3) if start == 0 else runner.load(file)
    result = runner.run(request(start, 4, worker=worker))
    runner.save(file)
    return result


class TestMoving:
    def test_cpu_to_gpu_and_back_carries_every_bit(self, tmp_path: Path) -> None:
        plain, file = settings(dataset=AUGMENTED), tmp_path / "moving"
        for number, worker in enumerate((WORKER, GPU, WORKER, GPU)):
            assert not moved(plain, file, worker, 4 * number).diverged
            left = load_state(file)
            taken_up = build(plain)
            taken_up.load(file)
            assert_same_state(left, saved(taken_up, tmp_path / "again"))
            assert left.iteration == 4 * (number + 1)

    def test_what_arrives_on_the_gpu_is_what_left_the_cpu(self, tmp_path: Path) -> None:
        plain, file = settings(), tmp_path / "moving"
        moved(plain, file, WORKER, 0)
        left = load_state(file)
        on_gpu = build(plain)
        on_gpu.load(file)
        # A step of rate 0 with no momentum lost and no decay leaves the weights as they were.
        on_gpu.run(request(4, 1, worker=GPU, lr=0.0, momentum=0.9, weight_decay=0.0))
        after = saved(on_gpu, file)
        weights = [name for name, _ in on_gpu._module.named_parameters()]
        assert all(same(left.state_dict[name], after.state_dict[name]) for name in weights)
        assert after.iteration == 5

    def test_batches_are_the_same_on_both(self, tmp_path: Path, seen: dict[str, Any]) -> None:
        plain = settings(RECORDED, AUGMENTED)
        rounds = [(WORKER, WORKER, WORKER), (WORKER, GPU, WORKER), (GPU, GPU, GPU)]
        for workers in rounds:
            for number, worker in enumerate(workers):
                moved(plain, tmp_path / "moving", worker, 4 * number)
        trained_on, evaluated = seen["train_images"], seen["val_images"]
        assert len(trained_on) == 3 * 12
        assert trained_on[:12] == trained_on[12:24] == trained_on[24:]
        assert len(evaluated) == 3 * 3
        assert evaluated[:3] == evaluated[3:6] == evaluated[6:]

    def test_a_gpu_learns_what_a_cpu_learns(self, tmp_path: Path) -> None:
        plain = settings(dataset=AUGMENTED)
        results, states = [], []
        for worker in (WORKER, GPU):
            results.append(moved(plain, tmp_path / "moving", worker, 0))
            states.append(load_state(tmp_path / "moving").state_dict)
        assert results[0].metrics["train/loss"] == pytest.approx(
            results[1].metrics["train/loss"], rel=1e-4
        )
        torch.testing.assert_close(states[1], states[0], rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
    def test_slices_in_many_runners_equal_one_piece(self, tmp_path: Path, precision: str) -> None:
        plain = settings(dataset=AUGMENTED, precision=precision)
        whole = build(plain)
        whole.begin(3)
        whole.run(request(0, 12, worker=GPU))
        staying = build(plain)
        staying.begin(3)
        for start in (0, 4, 8):
            moved(plain, tmp_path / "moving", GPU, start)
            staying.run(request(start, 4, worker=GPU))
        expected = saved(whole, tmp_path / "whole")
        assert_same_state(expected, load_state(tmp_path / "moving"))
        assert_same_state(expected, saved(staying, tmp_path / "staying"))

    def test_one_runner_may_serve_both(self, tmp_path: Path) -> None:
        plain = settings()
        one = build(plain)
        one.begin(3)
        for number, worker in enumerate((WORKER, GPU, WORKER)):
            one.run(request(4 * number, 4, worker=worker))
            moved(plain, tmp_path / "moving", worker, 4 * number)
        assert_same_state(load_state(tmp_path / "moving"), saved(one, tmp_path / "one"))


class TestOnTheGpu:
    def test_a_file_holds_nothing_of_the_gpu(self, tmp_path: Path) -> None:
        moved(settings(), tmp_path / "state", GPU, 0)
        assert b"cuda" not in bytes(read_checkpoint(tmp_path / "state"))

    def test_a_cpu_worker_leaves_the_gpu_alone(self, tmp_path: Path) -> None:
        moved(settings(), tmp_path / "state", GPU, 0)
        before = torch.cuda.memory_stats()["allocation.all.allocated"]
        moved(settings(), tmp_path / "state", WORKER, 4)
        assert torch.cuda.memory_stats()["allocation.all.allocated"] == before

    def test_a_constructors_value_changes_between_slices(self, tmp_path: Path) -> None:
        runner = build(settings(own_model("OwnModule")))
        runner.begin(3)
        runner.run(request(0, 2, worker=GPU, lr=0.01, dropout=0.25))
        before = saved(runner, tmp_path / "state")
        runner.run(request(2, 1, worker=GPU, lr=0.0, dropout=0.75))
        after = saved(runner, tmp_path / "state")
        assert same(before.state_dict, after.state_dict), "a step of rate 0 changes no weight"
        assert after.extra == {"batches_seen": 3}

    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_users_data_module_trains(self, workers: int) -> None:
        dataset = {"_target_": "training_helpers.OwnData", "workers": workers}
        runner = build(settings(own_model("OwnModule"), dataset))
        runner.begin(0)
        assert not runner.run(request(0, 3, trial=0, worker=GPU, lr=0.01)).diverged

    def test_the_winner_is_tested_and_exported(self, tmp_path: Path) -> None:
        moved(settings(), tmp_path / "state", GPU, 0)
        found = [
            evaluate_winner(settings(), tmp_path / "state", worker, tmp_path / worker.kind / "w")
            for worker in (GPU, WORKER)
        ]
        assert found[0]["test/loss"] == pytest.approx(found[1]["test/loss"], rel=1e-4)
        exported = torch.load(tmp_path / "gpu" / "w", weights_only=True)["state_dict"]
        assert same(exported, load_state(tmp_path / "state").state_dict)

    def test_divergence_is_a_result(self) -> None:
        runner = build(settings())
        runner.begin(3)
        assert runner.run(request(0, 8, worker=GPU, lr=1e30, momentum=0.9)).diverged

    def test_module_and_optimizer_stay_on_the_gpu_between_slices(self, tmp_path: Path) -> None:
        runner = build(settings())
        runner.begin(3)
        for start in (0, 4):
            runner.run(request(start, 4, worker=GPU))
            states = runner._holding.state().optimizer_states[0]["state"].values()
            held = [*runner._module.parameters(), *(s["momentum_buffer"] for s in states)]
            assert {tensor.device.type for tensor in held} == {"cuda"}
            assert all(weights.grad is None for weights in runner._module.parameters())

    def test_images_lie_on_the_gpu_once_and_come_from_there(self) -> None:
        runner = build(settings(dataset=AUGMENTED))
        runner.begin(3)
        runner.run(request(0, 1, worker=GPU))
        device = torch.device("cuda", 0)
        batches = runner._batches()
        for loader in (batches.for_slice(3, 0, 2, device), batches.for_validation(3, device)):
            assert {part.device for batch in loader for part in batch} == {device}
        sets = [
            loader.dataset.on_device(device) for loader in (batches.training, batches.validation)
        ]
        assert sets[0]._images.data_ptr() == sets[1]._images.data_ptr()

    def test_images_that_find_no_room_stay_with_the_host(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1000))
        dataset = synthetic(split_seed=9)
        runner = build(settings(dataset=dataset))
        runner.begin(3)
        assert not runner.run(request(0, 2, worker=GPU)).diverged
        loader = runner._batches().for_slice(3, 0, 1, torch.device("cuda", 0))
        assert all(part.is_pinned() for part in next(iter(loader)))

    def test_loader_processes_give_pinned_batches_and_outlive_slices(self) -> None:
        found = []
        for resident in (True, False):
            dataset = {**AUGMENTED, "device_resident": resident, "loader_workers": 1}
            runner = build(settings(dataset=dataset))
            runner.begin(3)
            found.append([runner.run(request(4 * n, 4, worker=GPU)).metrics for n in range(2)])
            batches = runner._batches().for_slice(3, 0, 2, torch.device("cuda", 0))
            assert all(part.is_pinned() != resident for batch in batches for part in batch)
            runner.close()
        assert found[0] == found[1]

    def test_images_that_must_lie_on_the_gpu_and_cannot_are_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1000))
        runner = build(settings(dataset=synthetic(split_seed=8, device_resident=True)))
        runner.begin(3)
        with pytest.raises(ConfigError, match=r"device_resident=true: .* the GPU has room for"):
            runner.run(request(0, 2, worker=GPU))

    def test_after_a_failure_the_runner_holds_nothing_of_the_gpus_memory(self) -> None:
        before = torch.cuda.memory_allocated()
        runner = build(settings(model=own_model("Hungry", kind="cuda")))
        runner.begin(3)
        with pytest.raises(torch.OutOfMemoryError, match="ran out of GPU memory"):
            runner.run(request(0, 1, worker=GPU, lr=0.01))
        gc.collect()
        images = synthetic_bytes()
        assert torch.cuda.memory_allocated() <= before + images


def synthetic_bytes() -> int:
    """Of the images and labels that stay on the GPU, with what the allocator rounds up to."""
    return 96 * (8 * 8 + 8) + 2 * 512
