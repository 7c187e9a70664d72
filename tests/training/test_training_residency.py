"""Where images lie and who makes batches of them, by how much room there is."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import VALUES, request, same, settings, synthetic

from hrfs.core.populations import Populations
from hrfs.experiment.errors import ConfigError
from hrfs.training import host_memory, residency
from hrfs.training.data import ImageData
from hrfs.training.dataset_check import check_dataset
from hrfs.training.devices import CPU
from hrfs.training.host_memory import free_bytes
from hrfs.training.loaders import Batches
from hrfs.training.residency import Place, Residency
from hrfs.training.runner import build
from hrfs.training.sources.synthetic import SyntheticSource

GPU = torch.device("cuda", 0)
SOURCE = SyntheticSource(samples=1000, num_classes=5, channels=3, image_size=10)
SIZE = SOURCE.size_bytes("train")


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No answer of an earlier test is remembered; the smallest set counts as large."""
    monkeypatch.setattr(residency, "SMALL_BYTES", 0)
    residency._size_and_room.cache_clear()
    residency._tell.cache_clear()
    yield
    residency._size_and_room.cache_clear()


def on_gpu(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """As if there were a GPU with so many bytes free."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))


def on_host(monkeypatch: pytest.MonkeyPatch, room: int | None) -> None:
    """As if this machine had room for so many bytes."""
    for module in (residency, host_memory):
        monkeypatch.setattr(module, "host_room", lambda: room)
    monkeypatch.setattr("hrfs.training.dataset_check.host_room", lambda: room)


@pytest.mark.parametrize("wish", ["auto", True])
def test_images_lie_where_they_have_room(
    monkeypatch: pytest.MonkeyPatch, wish: Any, caplog: pytest.LogCaptureFixture
) -> None:
    on_gpu(monkeypatch, free=4 * SIZE)
    on_host(monkeypatch, room=SIZE)
    assert Residency(wish).place(SOURCE, "train", GPU) == Place(GPU, 0)
    assert Residency(wish).place(SOURCE, "train", CPU) == Place(CPU, 0)
    assert caplog.records == []


def test_what_lies_there_counts_as_having_room(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu(monkeypatch, free=4 * SIZE)
    Residency().place(SOURCE, "train", GPU)
    on_gpu(monkeypatch, free=0)
    assert Residency().place(SOURCE, "train", GPU) == Place(GPU, 0)


@pytest.mark.parametrize(("device", "where"), [(GPU, "the GPU"), (CPU, "this machine")])
def test_too_large_falls_back_to_processes_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    device: torch.device,
    where: str,
) -> None:
    on_gpu(monkeypatch, free=4 * SIZE - 4)
    on_host(monkeypatch, room=SIZE - 1)
    for _ in range(2):
        assert Residency("auto", 3).place(SOURCE, "train", device) == Place(CPU, 3)
    told = "the dataset takes 308 kB and {} has room for 308 kB: 3 loader processes"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages[0].startswith(told.format(where))


@pytest.mark.parametrize("device", [GPU, CPU])
def test_too_large_and_resident_all_the_same_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    on_gpu(monkeypatch, free=4000)
    on_host(monkeypatch, room=1000)
    with pytest.raises(
        ConfigError,
        match=r"dataset\.device_resident=true: the training images take 308 kB and "
        r"(the GPU|this machine) has room for 1 kB; auto and false",
    ):
        Residency(wish=True).place(SOURCE, "train", device)


def test_not_resident_means_processes_whatever_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu(monkeypatch, free=100 * SIZE)
    assert Residency(False, 1).place(SOURCE, "train", GPU) == Place(CPU, 1)
    assert Residency(False, 1).place(SOURCE, "train", CPU) == Place(CPU, 1)


def test_where_nobody_tells_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    on_host(monkeypatch, room=None)
    assert Residency(wish=True).place(SOURCE, "train", CPU) == Place(CPU, 0)


def test_a_dataset_without_room_is_refused_before_the_cluster_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_host(monkeypatch, room=1000)
    with pytest.raises(ConfigError, match=r"device_resident=true: .* this machine has room for"):
        check_dataset(synthetic(device_resident=True), trains_here=True)
    assert check_dataset(synthetic(device_resident=True)) is not None, "its workers are elsewhere"
    assert check_dataset(synthetic(), trains_here=True) is not None


def batches_of(**changes: Any) -> Batches:
    arguments = synthetic(augment=True, cutout=3, **changes)
    del arguments["_target_"]
    module = ImageData(**arguments)
    return Batches(module.train_dataloader(), module.val_dataloader(), Populations((0,)))


@pytest.mark.torch
def test_processes_make_the_same_batches() -> None:
    left = set(multiprocessing.active_children())  # by other tests, to the garbage collector
    here, elsewhere = batches_of(), batches_of(device_resident=False, loader_workers=1)
    for start in (0, 3):
        made = list(elsewhere.for_slice(2, start, 3))
        assert same(list(here.for_slice(2, start, 3)), made)
        assert made[0][0].is_contiguous(memory_format=torch.channels_last)
        assert len(set(multiprocessing.active_children()) - left) == 1
    assert same(list(here.for_validation(2)), list(elsewhere.for_validation(2)))
    assert len(set(multiprocessing.active_children()) - left) == 2
    elsewhere.close()
    assert set(multiprocessing.active_children()) <= left


@pytest.mark.torch
def test_a_trial_trains_alike_wherever_its_images_lie() -> None:
    found = []
    for resident in (True, False):
        runner = build(settings(dataset=synthetic(augment=True, device_resident=resident)))
        runner.begin(3)
        found.append([runner.run(request(4 * part, 4, **VALUES)).metrics for part in range(2)])
        runner.close()
    assert found[0] == found[1]


def group(folder: Path, limit: str, current: int, inactive: int) -> None:
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


def test_free_memory_is_the_least_that_anyone_leaves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host_memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(host_memory, "CGROUP", tmp_path / "groups")
    assert free_bytes() is None
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 90 kB\nMemAvailable:   50 kB\n")
    assert free_bytes() == 50 * 1024
    (tmp_path / "proc" / "self" / "cgroup").write_text("4:memory:/old\n0::/job/step\n")
    group(tmp_path / "groups" / "job" / "step", "max", 0, 0)
    assert free_bytes() == 50 * 1024
    group(tmp_path / "groups" / "job" / "other", "1", 0, 0)
    (tmp_path / "groups" / "job" / "memory.max").write_text("9000\n")
    (tmp_path / "groups" / "job" / "memory.current").write_text("8000\n")
    (tmp_path / "groups" / "job" / "memory.stat").write_text("inactive_file 500\n")
    assert free_bytes() == 1500
    (tmp_path / "groups" / "job" / "memory.current").write_text("9900\n")
    assert free_bytes() == 0


def test_this_machine_has_memory() -> None:
    free = free_bytes()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (154e6, "154 MB"), (3.0814e12, "3 TB"), (2e10, "20 GB")],
)
def test_sizes_are_told_in_fitting_units(size_bytes: float, text: str) -> None:
    assert host_memory.size_text(size_bytes) == text
