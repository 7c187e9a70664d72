from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler, TensorDataset
from training_helpers import Endless, own_model, request, same, settings, synthetic

from hrfs.core.populations import Populations
from hrfs.experiment.errors import ConfigError
from hrfs.training.data import ImageData
from hrfs.training.devices import CPU
from hrfs.training.lasting import NO_DRAWS, LastingLoader
from hrfs.training.loaders import Batches
from hrfs.training.runner import build

ONE = Populations((0,))
LEFT: set[int | None] = set()
OWN_DATA = {"_target_": "training_helpers.OwnData"}


class Noisy(Dataset[Any]):
    """Each sample is its number and three random draws, as a careless transform makes them."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor]:
        return index, torch.rand(3)


def batches(seed: int = 0, workers: int = 0, **options: Any) -> Batches:
    training = DataLoader(Noisy(), batch_size=3, shuffle=True, num_workers=workers)
    return Batches(training, DataLoader(Noisy(), batch_size=4), Populations((seed,)), **options)


def taken(source: Batches, *slices: tuple[int, int], trial: int = 0) -> list[Any]:
    return [b for start, count in slices for b in source.for_slice(trial, start, count)]


def test_batches_do_not_depend_on_how_slices_are_cut() -> None:
    whole = taken(batches(), (0, 9))
    torch.rand(5)  # what happened before must not matter
    assert same(whole, taken(batches(), (0, 2), (2, 1), (3, 6)))
    assert same(whole[4:6], taken(batches(), (4, 2)))


def test_batches_depend_on_trial_and_seed() -> None:
    draws = [taken(batches(), (0, 3)), taken(batches(), (0, 3), trial=1), taken(batches(1), (0, 3))]
    assert len({str(draw) for draw in draws}) == 3


@pytest.mark.torch
def test_worker_processes_give_the_same_batches() -> None:
    assert same(taken(batches(), (0, 4)), taken(batches(workers=1), (0, 4)))


class Numbered(Dataset[Any]):
    """Each sample is its number and the process that read it."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[int, int]:
        return index, os.getpid()


def processes(source: Batches, start: int, device: torch.device = CPU) -> set[int]:
    """Those that read a slice of four batches."""
    return {pid for _, pids in source.for_slice(0, start, 4, device) for pid in pids.tolist()}


@pytest.fixture
def numbered() -> Iterator[Batches]:
    training = DataLoader(Numbered(), batch_size=3, num_workers=2)
    source = Batches(training, DataLoader(Numbered(), batch_size=4, num_workers=1), ONE)
    yield source
    source.close()


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    """Processes of runners that other tests left to the garbage collector do not count."""
    LEFT.update(child.pid for child in multiprocessing.active_children())
    yield
    LEFT.clear()


def children() -> set[int | None]:
    """Processes that the present test has started."""
    return {child.pid for child in multiprocessing.active_children()} - LEFT


@pytest.mark.torch
def test_processes_last_from_slice_to_slice_and_end_with_the_loader(numbered: Batches) -> None:
    first = processes(numbered, 0)
    assert len(first) == 2
    assert first == children() == processes(numbered, 4)
    evaluating = {pid for _, pids in numbered.for_validation(0) for pid in pids.tolist()}
    assert len(evaluating) == 1
    assert first == processes(numbered, 8)
    assert children() == first | evaluating
    numbered.close()
    assert children() == set()
    assert not first & processes(numbered, 8)


@pytest.mark.torch
def test_the_end_of_a_fit_leaves_the_processes_alone_and_a_failed_one_ends_them() -> None:
    runner = build(settings(own_model("OwnModule"), {**OWN_DATA, "workers": 1}))
    first = set()
    for trial in (0, 1):
        runner.begin(trial)
        runner.run(request(0, 3, trial=trial, lr=0.01))
        first = first or children()
        assert len(first) == 1
        assert children() == first
    with pytest.raises(ConfigError, match="nowhere"):
        runner.run(request(3, 3, trial=1, lr=0.01, nowhere=1.0))
    runner.begin(2)
    runner.run(request(0, 3, trial=2, lr=0.01))
    assert len(children()) == 1
    runner.close()
    assert children() == set()


@pytest.mark.torch
def test_another_device_gets_processes_of_its_own(
    numbered: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = processes(numbered, 0)
    meta = torch.device("meta")  # any other will do: batches are made on the CPU
    second = processes(numbered, 4, meta)
    assert not first & second
    assert children() == second
    assert not second & processes(numbered, 8)


@pytest.mark.torch
def test_a_slice_that_is_not_gone_through_does_not_disturb_the_next(numbered: Batches) -> None:
    wanted = [list(draw.indices) for draw in numbered.for_slice(0, 4, 3).draws]
    first = processes(numbered, 0)
    half = iter(numbered.for_slice(0, 0, 9))
    next(half)
    numbered.for_slice(0, 0, 9)
    got = [numbers.tolist() for numbers, _ in numbered.for_slice(0, 4, 3)]
    assert got == wanted
    assert children() == first


@pytest.mark.torch
def test_after_a_failure_processes_are_started_anew(numbered: Batches) -> None:
    processes(numbered, 0)
    with pytest.raises(KeyboardInterrupt), numbered.closed_on_failure():
        raise KeyboardInterrupt
    assert children() == set()


@pytest.mark.torch
def test_a_process_that_died_between_slices_is_replaced(
    numbered: Batches, caplog: pytest.LogCaptureFixture
) -> None:
    first = processes(numbered, 0)
    victim = next(c for c in multiprocessing.active_children() if c.pid in first)
    with contextlib.suppress(RuntimeError):  # torch's, out of the signal's handler
        victim.kill()
        victim.join()
    second = processes(numbered, 4)
    assert len(second) == 2
    assert not second & first
    assert "a process that loads data died between two slices" in caplog.text


@pytest.mark.torch
def test_what_a_loader_says_about_its_processes_is_kept() -> None:
    started: list[int] = []
    given = DataLoader(
        Numbered(), batch_size=3, num_workers=1, prefetch_factor=5, timeout=7,
        worker_init_fn=started.append, multiprocessing_context="fork",
    )  # fmt: skip
    lasting = LastingLoader(given, channels_last=True)
    made = lasting.batches(NO_DRAWS, CPU)._loader
    names = ("num_workers", "prefetch_factor", "timeout", "worker_init_fn")
    assert [getattr(made, name) for name in names] == [getattr(given, name) for name in names]
    assert made.multiprocessing_context.get_start_method() == "fork"
    assert made.persistent_workers
    assert not made.pin_memory


@pytest.mark.parametrize(("workers", "pinned_by"), [(0, "the process"), (1, "the loader")])
def test_for_a_gpu_batches_are_pinned(workers: int, pinned_by: str) -> None:
    given = DataLoader(Numbered(), batch_size=3, num_workers=workers)
    made = LastingLoader(given, channels_last=True).batches(NO_DRAWS, torch.device("cuda"))._loader
    assert made.pin_memory == (pinned_by == "the loader")
    assert made.dataset._preparation.pin == (pinned_by == "the process")


def test_validation_is_the_whole_split_in_order() -> None:
    source = batches()
    first = list(source.for_validation(0))
    assert [len(numbers) for numbers, _ in first] == [4, 4, 2]
    assert torch.cat([numbers for numbers, _ in first]).tolist() == list(range(10))
    assert same(first, list(source.for_validation(0)))


def test_a_validation_subset_is_fixed_by_the_seed() -> None:
    chosen = batches(validation_samples=6).validation_subset(0)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 6
    assert chosen == batches(validation_samples=6).validation_subset(0)
    assert chosen != batches(validation_samples=6).validation_subset(1)
    assert batches(validation_samples=99).validation_subset(0) == list(range(10))
    loader = batches(validation_samples=6).for_validation(0)
    assert [number for numbers, _ in loader for number in numbers.tolist()] == chosen


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_come_in_the_wanted_memory_order(channels_last: bool) -> None:
    arguments = synthetic(channels=3)
    del arguments["_target_"]
    module = ImageData(**arguments)
    source = Batches(module.train_dataloader(), module.val_dataloader(), ONE, channels_last)
    wanted = torch.channels_last if channels_last else torch.contiguous_format
    images, _ = next(iter(source.for_slice(0, 0, 1)))
    assert images.shape == (16, 3, 8, 8)
    assert images.is_contiguous(memory_format=wanted)


def test_an_endless_stream_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train_dataloader\(\) must return one torch DataLoader"):
        Batches(DataLoader(Endless()), DataLoader(Noisy(), batch_size=4), ONE)


def test_a_batch_sampler_of_the_users_own_is_refused() -> None:
    sampler = BatchSampler(SequentialSampler(Noisy()), 3, drop_last=True)
    with pytest.raises(ConfigError, match=r"must be built with batch_size"):
        Batches(DataLoader(Noisy(), batch_sampler=sampler), DataLoader(Noisy()), ONE)


def test_a_batch_larger_than_the_training_set_is_told() -> None:
    with pytest.raises(ConfigError, match=r"batch_size=11: is more than the 10 training samples"):
        Batches(DataLoader(Noisy(), batch_size=11), DataLoader(Noisy()), ONE)


def test_an_empty_validation_split_is_told() -> None:
    empty = DataLoader(TensorDataset(torch.empty(0, 1)), batch_size=2)
    with pytest.raises(ConfigError, match=r"has no samples to compare trials on"):
        Batches(DataLoader(Noisy(), batch_size=2), empty, ONE)
