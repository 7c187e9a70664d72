from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrfs.experiment.errors import ConfigError
from hrfs.training.dataset_check import DatasetFacts, check_dataset, prepare_dataset
from hrfs.training.dataset_settings import IMAGE_DATA_TARGET
from hrfs.training.sources.checksums import Checksums
from hrfs.training.sources.cifar import CIFAR10, CifarSource

CIFAR10_FILES = (*CIFAR10.train, *CIFAR10.test)


def group(root: Path, **changes: Any) -> dict[str, Any]:
    plain = {
        "_target_": IMAGE_DATA_TARGET,
        "name": "cifar10",
        "root": str(root),
        "batch_size": 10,
        "checksums": "none",
    }
    return {**plain, **changes}


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """A root with 5 x 20 training and 20 test images in CIFAR-10's own format."""
    folder = tmp_path / CIFAR10.folder
    folder.mkdir()
    for number, name in enumerate(CIFAR10_FILES):
        rng = np.random.default_rng(number)
        batch = {
            "data": rng.integers(0, 256, (20, 3072), dtype=np.uint8),
            "labels": (np.arange(20) % 10).tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return tmp_path


def test_facts_of_files_in_cifar_format(cifar: Path) -> None:
    assert check_dataset(group(cifar)) == DatasetFacts(90, 10, 20, 10, 3, 32)


def test_rows_become_pictures_of_red_green_blue(cifar: Path) -> None:
    with (cifar / CIFAR10.folder / "data_batch_1").open("rb") as stream:
        row = pickle.load(stream)["data"][7]
    read = CifarSource(CIFAR10, cifar, Checksums("none")).read("train")
    assert read.images.shape == (100, 32, 32, 3)
    assert read.images[7, 2, 5, 1] == row[1024 + 2 * 32 + 5]


@pytest.mark.torch
def test_the_reader_agrees_with_torchvision(cifar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    meta = {"filename": "batches.meta", "key": "label_names", "md5": None}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    names = {"label_names": [str(number) for number in range(10)]}
    (cifar / CIFAR10.folder / "batches.meta").write_bytes(pickle.dumps(names))
    ours = CifarSource(CIFAR10, cifar, Checksums("none"))
    for split, train in (("train", True), ("test", False)):
        theirs = datasets.CIFAR10(str(cifar), train=train)
        read = ours.read(split)  # type: ignore[arg-type]
        np.testing.assert_array_equal(read.images, theirs.data)
        assert read.labels.tolist() == theirs.targets


@pytest.mark.torch
def test_published_checksums_are_torchvisions() -> None:
    import torchvision.datasets as published

    from hrfs.training.sources.cifar import CIFAR100

    for ours, theirs in ((CIFAR10, published.CIFAR10), (CIFAR100, published.CIFAR100)):
        assert ours.md5 == dict([*theirs.train_list, *theirs.test_list])
        assert (ours.folder, ours.url) == (theirs.base_folder, theirs.url)


def test_a_missing_file_says_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"dataset\.root=.*data_batch_1 and 4 more is missing; fetch https://.*tar\.gz "
        r"and unpack it in .*, or set dataset\.download=true where there is a network",
    ):
        check_dataset(group(tmp_path))


def test_a_root_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"dataset\.root=.*file: is not a folder"):
        check_dataset(group(tmp_path / "file"))


def test_a_wrong_checksum_names_file_expected_and_found(cifar: Path) -> None:
    file = cifar / CIFAR10.folder / "data_batch_1"
    found = hashlib.md5(file.read_bytes()).hexdigest()
    with pytest.raises(
        ConfigError,
        match=rf"data_batch_1: wrong checksum: expected MD5 {CIFAR10.md5['data_batch_1']}, "
        rf"found {found}",
    ):
        check_dataset(group(cifar, checksums="standard"))


def test_a_users_own_list_of_checksums(cifar: Path) -> None:
    sums = cifar / "md5.txt"
    folder = cifar / CIFAR10.folder
    lines = [f"{hashlib.md5((folder / n).read_bytes()).hexdigest()}  {n}" for n in CIFAR10_FILES]
    sums.write_text("\n".join(lines) + "\n")
    assert check_dataset(group(cifar, checksums=str(sums))) is not None
    with (folder / "test_batch").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ConfigError, match=r"test_batch: wrong checksum"):
        check_dataset(group(cifar, checksums=str(sums)))


@pytest.mark.parametrize(
    ("text", "message"),
    [("nonsense\n", r"must be standard, none, or a file.*line 1 is 'nonsense'"), (None, "read")],
)
def test_a_list_of_checksums_that_is_none(cifar: Path, text: str | None, message: str) -> None:
    sums = cifar / "md5.txt"
    if text is not None:
        sums.write_text(text)
    with pytest.raises(ConfigError, match=rf"dataset\.checksums=.*{message}"):
        check_dataset(group(cifar, checksums=str(sums)))


def test_a_truncated_file_is_told(cifar: Path) -> None:
    file = cifar / CIFAR10.folder / "data_batch_3"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(ConfigError, match=r"data_batch_3: is cut short or is no file of cifar10"):
        check_dataset(group(cifar))


def test_labels_of_another_dataset_are_told(cifar: Path) -> None:
    batch = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}
    (cifar / CIFAR10.folder / "test_batch").write_bytes(pickle.dumps(batch))
    with pytest.raises(ConfigError, match=r"test_batch: has labels from 0 to 10, expected 0 to 9"):
        check_dataset(group(cifar))


class Canary:
    """Leaves a file behind if anyone unpickles it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.file),)


def test_a_dataset_file_cannot_run_code(cifar: Path) -> None:
    canary = cifar / "ran"
    batch = {"data": Canary(canary), "labels": []}
    (cifar / CIFAR10.folder / "data_batch_1").write_bytes(pickle.dumps(batch))
    with pytest.raises(ConfigError, match=r"it asks for .*mkdir, which is not allowed"):
        check_dataset(group(cifar))
    with pytest.raises(ConfigError, match=r"data_batch_1: wrong checksum: expected MD5"):
        check_dataset(group(cifar, checksums="standard"))  # before it is unpickled
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary)))
    assert canary.exists(), "the canary itself must work, or this test shows nothing"


def test_a_batch_larger_than_the_training_set(cifar: Path) -> None:
    assert check_dataset(group(cifar, batch_size=90)) is not None
    with pytest.raises(ConfigError, match=r"batch_size=91: is more than the 90 training samples"):
        check_dataset(group(cifar, batch_size=91))


def test_a_split_that_leaves_nothing(cifar: Path) -> None:
    with pytest.raises(ConfigError, match=r"validation_fraction=0\.001: leaves 100 training and 0"):
        check_dataset(group(cifar, validation_fraction=0.001))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "mnist"}, r"dataset\.name=mnist: must be one of cifar10, cifar100"),
        ({"num_classes": 12}, r"dataset\.num_classes=12: cifar10 has 10"),
        ({"samples": 12}, r"dataset\.samples=12: is for dataset=synthetic alone"),
    ],
)
def test_a_description_that_is_untrue(cifar: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_dataset(group(cifar, **change))


def test_a_users_own_data_module_is_left_to_the_workers() -> None:
    own = {"_target_": "their_package.Data", "anything": 1}
    assert check_dataset(own) is None
    prepare_dataset(own)


@pytest.mark.torch
def test_a_failed_download_says_what_to_do_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision.datasets

    def unreachable(root: str, download: bool) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", unreachable)
    with pytest.raises(
        ConfigError,
        match=r"dataset\.download=true: CIFAR10 could not be fetched \(network is unreachable\); "
        r"fetch https://",
    ):
        prepare_dataset(group(tmp_path, download=True))
    prepare_dataset(group(tmp_path, download=False))


@pytest.mark.torch
def test_nothing_is_fetched_if_nothing_is_missing(
    cifar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", None)

    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in cifar.rglob("*")}

    before = files()
    assert before
    prepare_dataset(group(cifar, download=True))
    assert files() == before


def test_the_check_imports_no_heavy_package() -> None:
    code = (
        "import sys; from hrfs.training.dataset_check import check_dataset;"
        f"print(check_dataset({{'_target_': '{IMAGE_DATA_TARGET}', 'name': 'digits'}}));"
        "heavy = {'torch', 'torchvision', 'sklearn', 'pytorch_lightning', 'ray', 'hydra'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "test_samples=359" in done.stdout
