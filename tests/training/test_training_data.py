from __future__ import annotations

import numpy as np
import pytest
import torch
from training_helpers import synthetic

from hrfs.experiment.errors import ConfigError
from hrfs.training.augment import PADDING, Augmentation, crop_and_flip, cutout, normalise
from hrfs.training.data import ImageData, decoded
from hrfs.training.randomness import Stream, batch_indices, derive, generator
from hrfs.training.sources.base import LabelledImages, Split
from hrfs.training.sources.digits import BRIGHTEST, SAMPLES, DigitsSource
from hrfs.training.sources.synthetic import SyntheticSource
from hrfs.training.split import hold_out


def data(**changes: object) -> ImageData:
    arguments = synthetic(**changes)
    del arguments["_target_"]
    return ImageData(**arguments)


def test_bytes_become_floats_in_minus_one_to_one() -> None:
    values = normalise(torch.tensor([0, 255, 51], dtype=torch.uint8))
    torch.testing.assert_close(values, torch.tensor([-1.0, 1.0, -0.6]))


def test_crop_shifts_and_flip_mirrors_whole_pictures() -> None:
    torch.manual_seed(0)
    picture = torch.arange(1, 65, dtype=torch.uint8).reshape(8, 8, 1)
    out = crop_and_flip(picture.expand(400, 8, 8, 1))
    padded = torch.nn.functional.pad(picture[..., 0], [PADDING] * 4)
    windows = padded.unfold(0, 8, 1).unfold(1, 8, 1).reshape(-1, 8, 8)
    possible = {w.numpy().tobytes() for w in torch.cat([windows, windows.flip(2)])}
    seen = {image.numpy().tobytes() for image in out[..., 0].contiguous()}
    assert seen <= possible
    assert len(possible) == 162
    assert len(seen) > 130, "400 draws of 162 windows must show most of them"


def test_augmentation_comes_from_the_global_seed_alone() -> None:
    images = torch.randint(0, 256, (5, 8, 8, 3), dtype=torch.uint8)
    torch.manual_seed(1)
    first = crop_and_flip(images)
    torch.manual_seed(1)
    assert torch.equal(first, crop_and_flip(images))
    assert not torch.equal(first, crop_and_flip(images))


def pixel_by_pixel(images: torch.Tensor) -> torch.Tensor:
    """What crop_and_flip draws, done by an index for each pixel."""
    batch, height, width, _ = images.shape
    padded = torch.nn.functional.pad(images, [0, 0, PADDING, PADDING, PADDING, PADDING])
    top, left = torch.randint(0, 2 * PADDING + 1, (2, batch, 1)).unbind()
    columns = left + torch.arange(width)
    columns = torch.where(torch.rand(batch, 1) < 0.5, columns.flip(1), columns)
    rows = top + torch.arange(height)
    return padded[torch.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]


@pytest.mark.parametrize("shape", [(40, 9, 12, 3), (1, 8, 8, 1), (7, 1, 5, 2)])
def test_windows_give_what_an_index_for_each_pixel_gives(shape: tuple[int, ...]) -> None:
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    before = images.clone()
    torch.manual_seed(3)
    wanted = pixel_by_pixel(images)
    torch.manual_seed(3)
    assert torch.equal(crop_and_flip(images), wanted)
    assert torch.equal(images, before), "they lie in memory that all share"


@pytest.mark.parametrize(("side", "least"), [(1, 1), (4, 4), (5, 9), (8, 16)])
def test_cutout_blots_out_one_square_that_may_reach_over_an_edge(side: int, least: int) -> None:
    torch.manual_seed(0)
    out = cutout(torch.ones(300, 8, 10, 3), side)
    assert set(out.unique().tolist()) <= {0.0, 1.0}
    sizes, centres = set(), set()
    for image in out:
        black = (image == 0).all(2)
        assert torch.equal(black, (image == 0).any(2)), "in all channels alike"
        rows, columns = black.any(1).nonzero()[:, 0], black.any(0).nonzero()[:, 0]
        assert int(black.sum()) == len(rows) * len(columns), "a rectangle"
        assert rows.tolist() == list(range(rows[0], rows[-1] + 1))
        sizes.add(int(black.sum()))
        centres.add((int(rows[0]), int(columns[0])))
    assert min(sizes) >= least
    assert max(sizes) == side * side
    assert len(centres) > 15


def test_cutout_may_cover_the_whole_image() -> None:
    torch.manual_seed(0)
    assert (cutout(torch.ones(50, 4, 4, 1), 4).flatten(1).sum(1) == 0).any()


def test_augmentation_draws_no_more_than_it_needs() -> None:
    images = torch.randint(0, 256, (5, 8, 8, 3), dtype=torch.uint8)
    torch.manual_seed(1)
    plain = Augmentation(crop_and_flip=True).apply(images)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(plain, normalise(crop_and_flip(images))), "batches of older runs stay"
    assert torch.equal(torch.rand(1), after)
    torch.manual_seed(1)
    square = Augmentation(crop_and_flip=True, cutout=3).apply(images)
    changed = square != plain
    assert changed.flatten(1).any(1).all()
    assert (square[changed] == 0).all()


def test_training_images_alone_are_augmented() -> None:
    module = data(augment=True, cutout=4)
    kept, held = module.train_dataloader().dataset, module.val_dataloader().dataset
    plain = data()
    assert not torch.equal(
        kept.__getitems__([0, 1])[0], plain.train_dataloader().dataset.__getitems__([0, 1])[0]
    )
    assert torch.equal(
        held.__getitems__([0, 1])[0], plain.val_dataloader().dataset.__getitems__([0, 1])[0]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutout": 9}, r"dataset\.cutout=9: is more than the 8 pixels of an image's side"),
        ({"cutout": -1}, r"dataset\.cutout=-1: must be a whole number >= 0"),
        ({"loader_workers": 0}, r"dataset\.loader_workers=0: must be a whole number >= 1"),
        ({"device_resident": "gpu"}, r"device_resident=gpu: must be auto, true or false"),
        ({"device_resident": 1}, r"device_resident=1: must be auto, true or false"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        data(**change)


def test_hold_out_is_disjoint_complete_and_even() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    kept, held = hold_out(labels, 0.1, np.random.default_rng(0))
    assert sorted([*kept, *held]) == list(range(100))
    assert np.bincount(labels[held]).tolist() == [5, 3, 2]
    again = hold_out(labels, 0.1, np.random.default_rng(0))[1]
    other = hold_out(labels, 0.1, np.random.default_rng(1))[1]
    assert held.tolist() == again.tolist() != other.tolist()


def test_hold_out_gives_the_rest_to_the_largest_remainders() -> None:
    labels = np.repeat([0, 1, 2], [7, 7, 6])
    _, held = hold_out(labels, 0.25, np.random.default_rng(0))
    assert np.bincount(labels[held]).tolist() == [2, 2, 1]


def test_batches_have_the_shape_range_and_order_that_networks_want() -> None:
    loader = data(channels=3).train_dataloader()
    images, labels = next(iter(loader))
    assert images.shape == (16, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64
    assert -1 <= images.min() < images.max() <= 1
    assert len(loader) == 76 // 16, "the short batch is left out of training"
    assert sum(len(labels) for _, labels in data().val_dataloader()) == 20


def test_training_and_validation_share_no_picture() -> None:
    module = data()
    train, held = module.train_dataloader().dataset, module.val_dataloader().dataset
    assert not set(train.indices.tolist()) & set(held.indices.tolist())
    assert len(train) + len(held) == 96
    other = data(split_seed=1).val_dataloader().dataset
    assert held.indices.tolist() != other.indices.tolist()


def test_one_sample_is_a_batch_of_one_without_its_first_dimension() -> None:
    held = data().val_dataloader().dataset
    image, label = held[3]
    images, labels = held.__getitems__([3])
    assert torch.equal(image, images[0])
    assert label == labels[0]


def test_a_source_is_decoded_once_per_process_and_test_only_on_demand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded.cache_clear()
    opened: list[Split] = []
    read = SyntheticSource.read

    def counting(self: SyntheticSource, split: Split) -> LabelledImages:
        opened.append(split)
        return read(self, split)

    monkeypatch.setattr(SyntheticSource, "read", counting)
    for _ in range(2):
        module = data()
        module.train_dataloader()
        module.val_dataloader()
    assert opened == ["train"]
    module.test_dataloader()
    assert opened == ["train", "test"]


def test_synthetic_images_are_a_function_of_the_seed_and_can_be_learnt() -> None:
    source = SyntheticSource(samples=100, num_classes=5, channels=3, image_size=10)
    train, test = source.read("train"), source.read("test")
    assert len(test) == 25
    assert np.array_equal(train.images, source.read("train").images)
    other = SyntheticSource(100, 5, 3, 10, seed=1).read("train")
    assert not np.array_equal(train.images, other.images)
    means = np.stack([train.images[train.labels == c].mean(0) for c in range(5)])
    distance = ((test.images[:, None] - means[None]) ** 2).sum((2, 3, 4))
    assert (distance.argmin(1) == test.labels).mean() > 0.9


@pytest.mark.torch
def test_digits_are_scikit_learns_cut_once_for_ever() -> None:
    from sklearn.datasets import load_digits

    source = DigitsSource()
    train, test = source.read("train"), source.read("test")
    assert len(load_digits().target) == SAMPLES == len(train) + len(test)
    assert (len(train), len(test)) == (source.count("train"), source.count("test"))
    together = np.concatenate([train.images, test.images]).sum(dtype=np.int64)
    assert together == np.round(load_digits().images * (255 / BRIGHTEST)).sum()
    assert np.ptp(np.bincount(test.labels)) <= 2
    assert test.labels[:5].tolist() == source.read("test").labels[:5].tolist()


def test_an_epoch_visits_each_sample_once_and_the_next_in_another_order() -> None:
    def epoch(first: int, trial: int = 0, seed: int = 0) -> list[int]:
        batches = (batch_indices(seed, trial, first + i, 23, 5) for i in range(4))
        return [sample for batch in batches for sample in batch]

    assert len(set(epoch(0))) == 20
    assert set(epoch(0)) <= set(range(23))
    orders = [epoch(0), epoch(4), epoch(0, trial=1), epoch(0, seed=1)]
    assert len({tuple(order) for order in orders}) == 4
    assert epoch(0) == orders[0]


def test_streams_are_independent_functions_of_their_arguments() -> None:
    seeds = {
        derive(s, stream, t, i) for s in (0, 1) for stream in Stream for t in (0, 1) for i in (0, 1)
    }
    assert len(seeds) == 8 * len(Stream)
    assert derive(0, Stream.STEP, 1, 2) == derive(0, Stream.STEP, 1, 2)
    draws = [generator(0, Stream.HOLD_OUT, part).random() for part in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1]
