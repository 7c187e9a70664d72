"""What a runner owes to whoever hands it slices (hrfs.experiment.slices.SliceRunner)."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.accelerators import CPUAccelerator, CUDAAccelerator
from training_helpers import (
    VALUES,
    WORKER,
    Recorder,
    own_model,
    request,
    same,
    settings,
    small_model,
    synthetic,
    write_cifar10,
)

from hrfs.experiment.checkpoint import CheckpointError
from hrfs.experiment.errors import ConfigError
from hrfs.training.runner import LightningSliceRunner, build
from hrfs.training.settings import TrainerSettings
from hrfs.training.state import TrialState, load_state
from hrfs.training.trainer import make_trainer, quiet

pytestmark = pytest.mark.torch


def state_of(runner: LightningSliceRunner, folder: Path) -> TrialState:
    runner.save(folder / "state_of")
    return load_state(folder / "state_of")


def assert_equal(left: TrialState, right: TrialState) -> None:
    assert left.optimizer_states, "a state without momentum would compare too little"
    for name in ("state_dict", "optimizer_states", "trial", "iteration", "hyper_parameters"):
        assert same(getattr(left, name), getattr(right, name)), name


def trained(plain: dict[str, Any], folder: Path, iterations: int = 9) -> TrialState:
    """The state after ``iterations`` steps of trial 3 in one piece."""
    runner = build(plain)
    runner.begin(3)
    runner.run(request(0, iterations))
    return state_of(runner, folder)


@pytest.fixture
def recorder() -> Any:
    Recorder.seen = {}
    return Recorder


def recorded(**changes: Any) -> dict[str, Any]:
    model = {**small_model(), "_target_": "training_helpers.Recorder"}
    return settings(model=model, **changes)


class TestOnePieceOrMany:
    def test_slices_over_several_runners_give_bitwise_equal_states(self, tmp_path: Path) -> None:
        plain = settings(dataset=synthetic(augment=True))
        whole = trained(plain, tmp_path)
        assert whole.iteration == 9
        assert whole.state_dict["network.stem.1.num_batches_tracked"] == 9
        file = tmp_path / "moving"
        for number, (start, count) in enumerate([(0, 4), (4, 1), (5, 4)]):
            runner = build(plain)
            runner.begin(3) if number == 0 else runner.load(file)
            runner.run(request(start, count))
            runner.save(file)
        assert_equal(whole, load_state(file))

    def test_staying_on_a_runner_gives_the_same_as_moving(self, tmp_path: Path) -> None:
        plain = settings()
        runner = build(plain)
        runner.begin(3)
        for start in (0, 3, 6):
            runner.run(request(start, 3))
        assert_equal(trained(plain, tmp_path), state_of(runner, tmp_path))

    def test_a_module_that_draws_random_numbers(self, tmp_path: Path) -> None:
        plain = settings(model=own_model("OwnModule"))
        values = {"lr": 0.01, "dropout": 0.5}
        states = []
        for cuts in ([(0, 8)], [(0, 3), (3, 5)]):
            runner = build(plain)
            runner.begin(3)
            for start, count in cuts:
                runner.run(request(start, count, **values))
            states.append(state_of(runner, tmp_path))
        assert_equal(*states)

    def test_a_trial_that_moves_to_another_process(self, tmp_path: Path) -> None:
        plain = settings()
        whole = trained(plain, tmp_path)
        runner = build(plain)
        runner.begin(3)
        runner.run(request(0, 5))
        runner.save(tmp_path / "moving")
        (tmp_path / "settings.json").write_text(json.dumps(plain))
        code = (
            "import json, sys; from pathlib import Path\n"
            "from training_helpers import request\n"
            "from hrfs.training.runner import build\n"
            "folder = Path(sys.argv[1])\n"
            "runner = build(json.loads((folder / 'settings.json').read_text()))\n"
            "runner.load(folder / 'moving'); runner.run(request(5, 4))\n"
            "runner.save(folder / 'moved')\n"
        )
        paths = [str(Path(__file__).parent), *filter(None, sys.path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
        assert_equal(whole, load_state(tmp_path / "moved"))

    def test_trials_and_seeds_differ(self, tmp_path: Path) -> None:
        weights = []
        for seed, trial in ((0, 0), (0, 1), (1, 0)):
            runner = build(settings(seed=seed))
            runner.begin(trial)
            weights.append(state_of(runner, tmp_path).state_dict["network.stem.0.weight"])
        assert not torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])


class TestHandOver:
    def test_nothing_of_the_trial_before_leaks(self, tmp_path: Path) -> None:
        plain = settings()
        donor = build(plain)
        donor.begin(3)
        donor.run(request(0, 4))
        donor.save(tmp_path / "three")
        used = build(plain)
        used.begin(5)
        used.run(request(0, 7, trial=5, lr=0.5, momentum=0.1, weight_decay=0.1))
        used.load(tmp_path / "three")
        assert_equal(state_of(donor, tmp_path), state_of(used, tmp_path))
        fresh = build(plain)
        fresh.load(tmp_path / "three")
        results = [runner.run(request(4, 5)) for runner in (used, fresh)]
        assert results[0].metrics == results[1].metrics
        assert_equal(state_of(used, tmp_path), state_of(fresh, tmp_path))

    def test_beginning_anew_forgets_the_optimizer(self, tmp_path: Path) -> None:
        plain = settings()
        used = build(plain)
        used.begin(5)
        used.run(request(0, 3, trial=5))
        used.begin(3)
        used.run(request(0, 9))
        assert_equal(trained(plain, tmp_path), state_of(used, tmp_path))

    def test_the_module_and_the_data_are_kept(self, tmp_path: Path) -> None:
        runner = build(settings())
        runner.begin(3)
        runner.run(request(0, 2))
        runner.save(tmp_path / "state")
        kept = (runner._module, runner._batches(), runner._kept_trainer)
        runner.load(tmp_path / "state")
        runner.run(request(2, 2, lr=0.3, momentum=0.8))
        assert (runner._module, runner._batches(), runner._kept_trainer) == kept

    def test_an_exploited_state_goes_on_as_another_trial(self, tmp_path: Path) -> None:
        runner = build(settings())
        runner.begin(3)
        runner.run(request(0, 4))
        runner.save(tmp_path / "donor")
        runner.load(tmp_path / "donor")
        runner.run(request(6, 2, trial=8))
        state = state_of(runner, tmp_path)
        assert (state.trial, state.iteration) == (8, 8)

    def test_running_a_trial_that_is_not_held_is_refused(self, tmp_path: Path) -> None:
        runner = build(settings())
        with pytest.raises(RuntimeError, match="begin or load must come first"):
            runner.run(request(0, 1))
        with pytest.raises(RuntimeError, match="begin or load must come first"):
            runner.save(tmp_path / "state")
        runner.begin(3)
        runner.run(request(0, 1))
        with pytest.raises(RuntimeError, match="trial 3 is held, not trial 4"):
            runner.run(request(1, 1, trial=4))

    def test_a_state_of_another_network_is_refused(self, tmp_path: Path) -> None:
        small, large = build(settings()), build(settings(model=small_model(width=8)))
        small.begin(0)
        small.save(tmp_path / "state")
        with pytest.raises(CheckpointError, match="expected weights of ImageClassifier"):
            large.load(tmp_path / "state")
        with pytest.raises(RuntimeError, match="no trial is held"):
            large.save(tmp_path / "other")

    def test_a_state_saved_before_the_first_slice_goes_on(self, tmp_path: Path) -> None:
        plain = settings()
        first, second = build(plain), build(plain)
        first.begin(3)
        first.save(tmp_path / "begun")
        second.load(tmp_path / "begun")
        second.run(request(0, 9))
        assert_equal(trained(plain, tmp_path), state_of(second, tmp_path))


class TestHyperparameters:
    def test_mutated_values_reach_the_optimizer_after_a_restore(
        self, tmp_path: Path, recorder: Any
    ) -> None:
        runner = build(recorded())
        runner.begin(3)
        runner.run(request(0, 2, lr=0.1, momentum=0.9))
        runner.save(tmp_path / "state")
        for again in (runner, build(recorded())):
            recorder.seen = {}
            again.load(tmp_path / "state")
            again.run(request(2, 2, lr=0.03, momentum=0.5, weight_decay=0.25))
            assert recorder.seen["lr"] == [(0.03, 0.5, 0.25)] * 2
            assert recorder.seen["hparams"] == [0.03] * 2
            again.run(request(4, 1, lr=0.07, momentum=0.5))
            assert recorder.seen["lr"][-1] == (0.07, 0.5, 0.25), "not named: stays as it was"

    def test_a_step_is_what_sgd_does_with_these_values(self, tmp_path: Path) -> None:
        runner = build(settings())
        runner.begin(3)
        runner.run(request(0, 2, lr=0.1, momentum=0.9, weight_decay=0.0))
        before = state_of(runner, tmp_path)
        runner.run(request(2, 1, lr=0.5, momentum=0.25, weight_decay=0.0))
        after = state_of(runner, tmp_path)
        name = "network.head.2.bias"
        number = [n for n, _ in runner._module.named_parameters()].index(name)
        velocity = after.optimizer_states[0]["state"][number]["momentum_buffer"]
        moved = before.state_dict[name] - 0.5 * velocity
        torch.testing.assert_close(after.state_dict[name], moved)
        old = before.optimizer_states[0]["state"][number]["momentum_buffer"]
        assert (velocity - 0.25 * old).abs().max() > 0
        assert not torch.allclose(velocity, 0.9 * old)

    def test_a_value_of_the_constructor_alone_rebuilds_the_module(self, tmp_path: Path) -> None:
        runner = build(settings(model=own_model("OwnModule")))
        runner.begin(3)
        runner.run(request(0, 2, lr=0.01, dropout=0.25))
        assert runner._module.body[2].p == 0.25
        before, old = state_of(runner, tmp_path), runner._module
        runner.run(request(2, 1, lr=0.0, dropout=0.75))
        assert runner._module is not old
        assert runner._module.body[2].p == 0.75
        after = state_of(runner, tmp_path)
        assert same(before.state_dict, after.state_dict), "a step of rate 0 changes no weight"
        assert after.optimizer_states[0]["state"][0]["step"] == 3
        assert after.extra == {"batches_seen": 3}

    def test_a_value_that_reaches_nothing_is_told(self) -> None:
        runner = build(settings())
        runner.begin(3)
        with pytest.raises(
            ConfigError,
            match=r"population\.search_space\.beta=0\.5: reaches neither the optimizer nor the "
            r"constructor of the model; the optimizer has .*lr.*momentum.*weight_decay",
        ):
            runner.run(request(0, 1, lr=0.1, beta=0.5))

    def test_state_beyond_weights_travels_by_lightnings_hooks(self, tmp_path: Path) -> None:
        first, second = (build(settings(model=own_model("OwnModule"))) for _ in range(2))
        first.begin(3)
        assert first.run(request(0, 4, lr=0.01)).metrics["val/seen"] == 4
        first.save(tmp_path / "state")
        second.load(tmp_path / "state")
        assert second.run(request(4, 3, lr=0.01)).metrics["val/seen"] == 7


class TestEvaluation:
    def test_it_runs_in_eval_mode_and_changes_nothing(self, recorder: Any) -> None:
        runner = build(recorded(dataset=synthetic(batch_size=4)))
        runner.begin(3)
        runner.run(request(0, 3))
        runner.run(request(3, 2))
        seen = recorder.seen
        assert seen["train_mode"] == [True] * 5
        assert seen["eval_mode"] == [True] * 4, "two batches of validation in each slice"
        assert any("running_mean" in name for name in seen["before"][0])
        assert same(seen["before"], seen["after"])

    def test_training_never_sees_validation_images(self, recorder: Any) -> None:
        runner = build(recorded())
        runner.begin(3)
        runner.run(request(0, 9))
        trained_on = {image for batch in recorder.seen["train_images"] for image in batch}
        evaluated = {image for batch in recorder.seen["val_images"] for image in batch}
        assert len(evaluated) == 20
        assert len(trained_on) == 76
        assert not trained_on & evaluated

    def test_slices_do_not_open_the_test_set(self, tmp_path: Path) -> None:
        write_cifar10(tmp_path)
        (tmp_path / "cifar-10-batches-py" / "test_batch").unlink()
        dataset = synthetic(
            name="cifar10", root=str(tmp_path), checksums="none", samples=None,
            num_classes=10, channels=3, image_size=32,
        )  # fmt: skip
        runner = build(settings(small_model(num_classes=10, channels=3), dataset))
        runner.begin(0)
        result = runner.run(request(0, 2, trial=0))
        assert set(result.metrics) == {"train/loss", "val/loss", "val/acc"}

    def test_metrics_are_right(self, tmp_path: Path) -> None:
        runner = build(settings())
        runner.begin(3)
        result = runner.run(request(0, 6))
        module = runner._module.eval()
        scores, labels = [], []
        with torch.no_grad():
            for images, truth in runner._data.val_dataloader():
                scores.append(module(images))
                labels.append(truth)
        score, label = torch.cat(scores), torch.cat(labels)
        accuracy = (score.argmax(1) == label).float().mean()
        loss = torch.nn.functional.cross_entropy(score, label)
        assert result.metrics["val/acc"] == pytest.approx(accuracy.item())
        assert result.metrics["val/loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert not result.diverged

    def test_a_subset_is_evaluated_if_asked(self, recorder: Any) -> None:
        runner = build(recorded(validation_samples=7))
        runner.begin(3)
        runner.run(request(0, 1))
        assert [len(batch) for batch in recorder.seen["val_images"]] == [7]

    def test_train_loss_is_the_mean_of_a_module_that_logs_none(self) -> None:
        runner = build(settings(model=own_model("OwnModule")))
        runner.begin(3)
        metrics = runner.run(request(0, 3, lr=0.01)).metrics
        assert 0.5 < metrics["train/loss"] < 5


class TestSlices:
    def test_exactly_k_steps_and_every_slice_counts_from_zero(self, recorder: Any) -> None:
        runner = build(recorded())
        runner.begin(3)
        for start, count in ((0, 1), (1, 7), (8, 5)):
            recorder.seen = {}
            runner.run(request(start, count))
            assert recorder.seen["steps"] == list(range(count))

    def test_a_slice_of_nothing_is_refused(self) -> None:
        runner = build(settings())
        runner.begin(3)
        with pytest.raises(ValueError, match="at least one iteration, not 0"):
            runner.run(request(0, 0))

    def test_divergence_is_a_result_not_an_error(self, tmp_path: Path) -> None:
        runner = build(settings())
        runner.begin(3)
        result = runner.run(request(0, 8, lr=1e30, momentum=0.9))
        assert result.diverged
        assert not all(map(math.isfinite, result.metrics.values()))
        assert state_of(runner, tmp_path).iteration == 8

    def test_an_emulated_slow_worker_stretches_every_iteration(self) -> None:
        runner = build(settings(model=own_model("Laborious")))
        runner.begin(3)
        slow = replace(WORKER, slowdown=4.0)
        result = runner.run(request(0, 5, worker=slow, lr=0.01))
        assert result.train_s >= 5 * 4 * 0.005
        assert result.evaluate_s >= 4 * 0.005

    @pytest.mark.parametrize(
        ("kind", "error", "device"),
        [
            ("cuda", torch.OutOfMemoryError, "CPU"),
            ("python", MemoryError, "CPU"),
            ("numpy", MemoryError, "CPU"),
            ("cpu", RuntimeError, "CPU"),
        ],
    )
    def test_out_of_memory_passes_with_a_hint(
        self, tmp_path: Path, kind: str, error: type[Exception], device: str
    ) -> None:
        runner = build(settings(model=own_model("Hungry", kind=kind)))
        runner.begin(3)
        with pytest.raises(
            error, match=rf"worker here/cpu/0 ran out of {device} memory: lower dataset\.batch_size"
        ):
            runner.run(request(0, 1, lr=0.01))
        with pytest.raises(RuntimeError, match="no trial is held"):
            runner.save(tmp_path / "state")

    def test_another_error_passes_as_it_is(self) -> None:
        runner = build(settings(model=own_model("Hungry", kind="bug")))
        runner.begin(3)
        with pytest.raises(RuntimeError, match=r"^shapes differ$"):
            runner.run(request(0, 1, lr=0.01))

    def test_threads_are_those_of_the_bundle(self) -> None:
        before = torch.get_num_threads()
        try:
            for cpus, threads, wanted in ((2.0, "auto", 2), (0.5, "auto", 1), (1.0, 2, 2)):
                runner = build(settings(threads=threads))
                runner.begin(3)
                runner.run(request(0, 1, worker=replace(WORKER, cpus=cpus)))
                assert torch.get_num_threads() == wanted
        finally:
            torch.set_num_threads(before)

    def test_weights_are_channels_last_unless_told_otherwise(self) -> None:
        for wanted in (True, False):
            runner = build(settings(channels_last=wanted))
            runner.begin(3)
            runner.run(request(0, 1))
            weight = runner._module.network.blocks[0].body[0].weight
            assert weight.is_contiguous(memory_format=torch.channels_last) is wanted

    def test_lightning_is_silent(self, capfd: pytest.CaptureFixture[str]) -> None:
        runner = build(settings())
        runner.begin(3)
        runner.run(request(0, 1))
        assert capfd.readouterr() == ("", "")

    def test_a_cpu_worker_leaves_a_gpu_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: True))
        with quiet():
            trainer = make_trainer(WORKER, TrainerSettings())
        assert isinstance(trainer.accelerator, CPUAccelerator)


class TestModulesAndDataOfOnesOwn:
    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_users_module_and_data_module_train(self, workers: int) -> None:
        dataset = {"_target_": "training_helpers.OwnData", "batch_size": 8, "workers": workers}
        runner = build(settings(own_model("OwnModule"), dataset))
        runner.begin(0)
        result = runner.run(request(0, 3, trial=0, lr=0.01))
        assert set(result.metrics) == {"val/acc", "val/seen", "train/loss"}
        runner.run(request(3, 3, trial=0, lr=0.01))
        assert runner._data.prepared == 1

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            ({"_target_": "torch.nn.Linear"}, r"must be a pytorch_lightning\.LightningModule"),
            (own_model("WithoutValidation"), "has no validation_step"),
            ({"_target_": "os.system"}, "standard library"),
        ],
    )
    def test_a_model_that_cannot_train_is_refused_at_once(
        self, model: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=rf"model\._target_=.*{message}"):
            build(settings(model=model))

    def test_a_data_module_that_is_none_is_refused_at_once(self) -> None:
        with pytest.raises(ConfigError, match=r"must be a pytorch_lightning\.LightningDataModule"):
            build(settings(dataset={"_target_": "training_helpers.OwnModule"}))

    def test_an_argument_that_the_model_does_not_take(self) -> None:
        runner = build(settings(model=small_model(depth=3)))
        runner.begin(3)
        with pytest.raises(ConfigError, match=r"model=.*'depth'; it takes network, num_classes"):
            runner.run(request(0, 1))

    def test_a_learning_rate_schedule_is_refused(self) -> None:
        runner = build(settings(model=own_model("WithScheduler")))
        runner.begin(3)
        with pytest.raises(ConfigError, match="returns a learning-rate scheduler"):
            runner.run(request(0, 1, lr=0.01))

    def test_a_stream_of_data_is_refused(self) -> None:
        dataset = {"_target_": "training_helpers.EndlessData"}
        runner = build(settings(own_model("OwnModule"), dataset))
        runner.begin(3)
        with pytest.raises(ConfigError, match="over a map-style dataset"):
            runner.run(request(0, 1, lr=0.01))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_state_moves_from_gpu_to_cpu_and_back(tmp_path: Path) -> None:
    gpu = replace(WORKER, name="here/gpu/0", kind="gpu", gpus=1.0)
    file = tmp_path / "state"
    for number, worker in enumerate((gpu, WORKER, gpu)):
        runner = build(settings())
        runner.begin(3) if number == 0 else runner.load(file)
        assert not runner.run(request(4 * number, 4, worker=worker)).diverged
        runner.save(file)
    assert load_state(file).iteration == 12
    assert load_state(file).hyper_parameters == VALUES
