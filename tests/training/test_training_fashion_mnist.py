from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from hrfs.experiment.errors import ConfigError
from hrfs.training.dataset_check import DatasetFacts, check_dataset
from hrfs.training.dataset_settings import IMAGE_DATA_TARGET
from hrfs.training.sources.checksums import Checksums
from hrfs.training.sources.fashion_mnist import FILES, FashionMnistSource, IdxError, parse_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
NAMES = [name for pair in FILES.values() for name in pair]


def idx(values: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()


def write_all(folder: Path, packed: bool = True, count: int = 30) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images = np.arange(count * 784, dtype=np.int64).astype(np.uint8).reshape(count, 28, 28)
    labels = (np.arange(count) % 10).astype(np.uint8)
    for name in NAMES:
        data = idx(images if "images" in name else labels)
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data, 1))
        else:
            (folder / name).write_bytes(data)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("layout", [".", "FashionMNIST/raw"])
def test_both_layouts_packed_or_not(tmp_path: Path, layout: str, packed: bool) -> None:
    write_all(tmp_path / layout, packed)
    source = FashionMnistSource(tmp_path, Checksums("none"))
    assert source.missing() == ()
    assert source.size_bytes("test") == 30 * (28 * 28 + 8)
    read = source.read("test")
    assert read.images.shape == (30, 28, 28, 1)
    assert read.images[2, 3, 4, 0] == (2 * 784 + 3 * 28 + 4) % 256
    assert read.labels.tolist() == [number % 10 for number in range(30)]


def test_missing_files_say_where_they_can_be_had(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"train-images-idx3-ubyte\.gz is missing; install Debian's dataset-fashion-mnist "
        r"and set dataset\.root=.*dataset\.download=true",
    ):
        FashionMnistSource(tmp_path).read("train")
    assert len(FashionMnistSource(tmp_path).missing()) == 4


def test_the_content_is_checked_not_the_packing(tmp_path: Path) -> None:
    write_all(tmp_path)
    with pytest.raises(ConfigError, match=r"idx3-ubyte\.gz: wrong checksum: expected MD5 f4a8712d"):
        FashionMnistSource(tmp_path).read("train")


@pytest.mark.parametrize("keep", [0.5, 0.0])
def test_a_truncated_file_is_told(tmp_path: Path, keep: float) -> None:
    write_all(tmp_path)
    file = tmp_path / f"{NAMES[0]}.gz"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * keep)])
    with pytest.raises(ConfigError, match=r"is cut short or no IDX file"):
        FashionMnistSource(tmp_path, Checksums("none")).read("train")


def test_idx_headers_are_believed_only_if_true() -> None:
    good = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert parse_idx(good, 2).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(IdxError, match="5 bytes of data, expected 6"):
        parse_idx(good[:-1], 2)
    with pytest.raises(IdxError, match="it begins with"):
        parse_idx(good, 3)


def test_images_without_labels_are_told(tmp_path: Path) -> None:
    write_all(tmp_path)
    labels = np.zeros(29, np.uint8)
    (tmp_path / f"{NAMES[1]}.gz").write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(ConfigError, match=r"has images of shape \(30, 28, 28\), expected \(29"):
        FashionMnistSource(tmp_path, Checksums("none")).read("train")


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
@pytest.mark.torch
def test_debians_files_are_the_published_ones_and_can_be_trained_on() -> None:
    from training_helpers import request, settings, small_model

    from hrfs.training.runner import build

    plain = {"_target_": IMAGE_DATA_TARGET, "name": "fashion_mnist", "root": str(DEBIAN)}
    assert check_dataset(plain) == DatasetFacts(54000, 6000, 10000, 10, 1, 28)
    runner = build(settings(small_model(num_classes=10), plain, validation_samples=256))
    runner.begin(0)
    assert runner.run(request(0, 60, trial=0, lr=0.01, momentum=0.9)).metrics["val/acc"] > 0.4
