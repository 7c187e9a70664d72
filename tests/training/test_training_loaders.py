from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler, TensorDataset
from training_helpers import Endless, same, synthetic

from hrfs.core.populations import Populations
from hrfs.experiment.errors import ConfigError
from hrfs.training.data import ImageData
from hrfs.training.loaders import Batches

ONE = Populations((0,))


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
