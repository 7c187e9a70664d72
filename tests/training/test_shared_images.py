"""One decoded copy of a dataset per node: written once, mapped by all, never trusted blindly."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from training_helpers import write_cifar10

from hrfs.experiment.errors import ConfigError
from hrfs.training.dataset_check import check_dataset
from hrfs.training.dataset_settings import IMAGE_DATA_TARGET
from hrfs.training.sources import shared, store, synthetic
from hrfs.training.sources.base import LabelledImages, Split
from hrfs.training.sources.checksums import Checksums
from hrfs.training.sources.cifar import CIFAR10, CifarSource
from hrfs.training.sources.digits import DigitsSource
from hrfs.training.sources.shared import read_shared
from hrfs.training.sources.store import private_folder
from hrfs.training.sources.synthetic import SyntheticSource

SOURCE = SyntheticSource(samples=50, num_classes=5, channels=3, image_size=10)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty temporary folder; the smallest set counts as large."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shared, "SMALL_BYTES", 1)
    return private_folder()


def entries(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name != ".lock")


def equal(left: LabelledImages, right: LabelledImages) -> bool:
    return np.array_equal(left.images, right.images) and np.array_equal(left.labels, right.labels)


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Split]:
    """The splits of synthetic images that are made from now on."""
    made: list[Split] = []
    parts = SyntheticSource.parts

    def counting(self: SyntheticSource, split: Split) -> object:
        made.append(split)
        return parts(self, split)

    monkeypatch.setattr(SyntheticSource, "parts", counting)
    return made


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_shared_is_what_was_read(split: Split) -> None:
    first, second = read_shared(SOURCE, split), read_shared(SOURCE, split)
    assert equal(first, SOURCE.read(split))
    assert equal(second, first)
    assert isinstance(second.images, np.memmap)
    assert second.labels.dtype == np.int64


def test_the_second_process_maps_what_the_first_decoded(folder: Path) -> None:
    code = (
        "from hrfs.training.sources import shared, synthetic\n"
        "shared.SMALL_BYTES = 1\n"
        f"source = synthetic.{SOURCE!r}\n"
        "made = shared.read_shared(source, 'train')\n"
        "print(int(made.images.sum()), type(made.images).__name__)\n"
    )
    environment = {**os.environ, "TMPDIR": str(folder.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    (name,) = entries(folder)
    before = (folder / name).stat().st_ino
    assert done.stdout.split() == [str(read_shared(SOURCE, "train").images.sum()), "memmap"]
    assert (folder / name).stat().st_ino == before, "it was not written again"


def test_images_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_reads(monkeypatch)
    for _ in range(3):
        read_shared(SOURCE, "train")
    assert made == ["train"]
    read_shared(SyntheticSource(50, 5, 3, 10, seed=1), "train")
    read_shared(SOURCE, "test")
    assert made == ["train", "train", "test"]


def test_small_sets_leave_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "SMALL_BYTES", SOURCE.size_bytes("train") + 1)
    assert not isinstance(read_shared(SOURCE, "train").images, np.memmap)
    assert entries(folder) == []


@pytest.mark.parametrize("at", [0, 3000, 4096, 4096 + 10, -1])
def test_a_damaged_entry_is_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    read_shared(SOURCE, "train")
    file = folder / entries(folder)[0]
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    made = count_reads(monkeypatch)
    assert equal(read_shared(SOURCE, "train"), SOURCE.read("train"))
    assert made[0] == "train"
    assert len(entries(folder)) == 1


def test_an_entry_cut_short_is_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "HASHED_BYTES", 0)  # as if it were too large to be hashed
    read_shared(SOURCE, "train")
    file = folder / entries(folder)[0]
    file.write_bytes(file.read_bytes()[:-8])
    assert equal(read_shared(SOURCE, "train"), SOURCE.read("train"))


def test_changed_files_are_decoded_again_and_the_old_entry_goes(
    folder: Path, tmp_path: Path
) -> None:
    write_cifar10(tmp_path, count=4)
    source = CifarSource(CIFAR10, tmp_path, Checksums("none"))
    first = read_shared(source, "train")
    old = entries(folder)
    assert len(first) == 20
    write_cifar10(tmp_path, count=6)
    assert len(read_shared(source, "train")) == 30
    assert len(entries(folder)) == 1
    assert entries(folder) != old
    assert len(first.images.sum(axis=(1, 2, 3))) == 20, "who has mapped the old one keeps it"


def test_what_nobody_opened_for_long_is_removed(folder: Path) -> None:
    read_shared(SOURCE, "train")
    read_shared(SOURCE, "test")
    old, kept = entries(folder)
    long_ago_s = (folder / old).stat().st_mtime - store.UNUSED_S - 60
    os.utime(folder / old, (long_ago_s, long_ago_s))
    os.utime(folder / ".lock", (long_ago_s, long_ago_s))
    (folder / ".half.1234").touch()  # of a writer that was killed
    read_shared(SyntheticSource(50, 5, 3, 10, seed=2), "train")
    assert not {old, ".half.1234"} & set(entries(folder))
    assert kept in entries(folder)
    assert len(entries(folder)) == 2
    assert (folder / ".lock").exists()


def test_opening_an_entry_keeps_it(folder: Path) -> None:
    read_shared(SOURCE, "train")
    (name,) = entries(folder)
    os.utime(folder / name, (1, 1))
    read_shared(SOURCE, "train")
    assert (folder / name).stat().st_mtime > 1e9


def test_without_room_each_process_has_its_own_copy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**6, 0, 10**4))
    assert equal(read_shared(SOURCE, "train"), SOURCE.read("train"))
    assert "its own copy of the dataset, 15.4 kB: none can be shared" in caplog.text
    assert "where 10 kB are free" in caplog.text
    assert len(caplog.records) == 1
    assert entries(folder) == []


def test_a_disk_that_fills_up_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(file: Path, fill: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "fill_atomically", full)
    assert equal(read_shared(SOURCE, "train"), SOURCE.read("train"))
    assert "No space left on device" in caplog.text
    assert entries(folder) == []


def test_room_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**6, 0, 0))
    monkeypatch.setattr(shared, "free_bytes", lambda: 1000)
    with pytest.raises(
        ConfigError,
        match=r"TMPDIR=.*: cannot hold the decoded dataset, 15\.4 kB \(no room in .*\), and "
        r"no more than 1 kB of memory are free; name a folder on a larger disk",
    ):
        read_shared(SOURCE, "train")


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o702])
def test_a_folder_that_others_may_enter_is_not_used(
    folder: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(mode)
    assert equal(read_shared(SOURCE, "train"), SOURCE.read("train"))
    assert "is no folder of this user alone" in caplog.text
    assert entries(folder) == []


def test_a_link_planted_in_its_place_is_not_followed(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with caplog.at_level(logging.WARNING):
        read_shared(SOURCE, "train")
    assert "is no folder of this user alone" in caplog.text
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_wrong_file_is_told_and_leaves_no_entry(folder: Path, tmp_path: Path) -> None:
    write_cifar10(tmp_path, count=4)
    with pytest.raises(ConfigError, match=r"data_batch_1: wrong checksum"):
        read_shared(CifarSource(CIFAR10, tmp_path), "train")
    assert entries(folder) == []


def test_the_check_of_a_dataset_decodes_for_the_workers(folder: Path, tmp_path: Path) -> None:
    write_cifar10(tmp_path, count=4)
    group = {
        "_target_": IMAGE_DATA_TARGET, "name": "cifar10", "root": str(tmp_path),
        "batch_size": 2, "checksums": "none",
    }  # fmt: skip
    facts = check_dataset(group)
    assert facts is not None
    assert (facts.train_samples, facts.test_samples) == (18, 4)
    assert len(entries(folder)) == 2
    assert check_dataset(group) == facts


def test_parts_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SOURCE.read("train")
    monkeypatch.setattr(synthetic, "PART_BYTES", 7 * 300)
    parts = list(SOURCE.parts("train"))
    assert [len(part) for part in parts] == [7] * 7 + [1]
    assert equal(SOURCE.read("train"), whole)


@pytest.mark.parametrize("split", ["train", "test"])
def test_sizes_are_known_without_decoding(tmp_path: Path, split: Split) -> None:
    write_cifar10(tmp_path, count=200)
    for source in (SOURCE, DigitsSource(), CifarSource(CIFAR10, tmp_path, Checksums("none"))):
        made = source.read(split)
        true = made.images.nbytes + made.labels.nbytes
        # Python 3's second protocol, unlike the publisher's files, encodes bytes as text
        assert true <= source.size_bytes(split) <= 1.6 * true
