"""What the images of a dataset cost: memory of the processes of a node, and time in a slice.

    python -m benchmarks.data
    python -m benchmarks.data --parts batches

Files in CIFAR-10's format, of random images, are written to a temporary folder. ``memory``: some
processes of one node read them one after the other, each up to its first batch, and then touch
every image; at the end, while all live, each tells its share of the memory (Pss in
/proc/self/smaps_rollup, in which a page that four processes map counts for a quarter in each).
``batches``: how long a batch takes in the process that trains, beside a step of ResNet-18 on the
same threads. ``slices``: how long it takes to go through the batches of a slice, without training,
in the process itself, and by two loader processes that last or that start anew for each slice.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Column, Table
from torch import nn

from benchmarks.conditions import conditions
from hrfs.core.populations import Populations
from hrfs.training.data import ImageData
from hrfs.training.loaders import Batches
from hrfs.training.networks import build_network
from hrfs.training.sources import shared
from hrfs.training.sources.cifar import CIFAR10, IMAGE_SIZE, PIXELS

AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "crop and flip": {"augment": True},
    "crop, flip, cutout 8": {"augment": True, "cutout": 8},
}


def write_files(root: Path, samples: int) -> None:
    """All files of CIFAR-10, with a fifth of ``samples`` random images in each."""
    rng = np.random.default_rng(0)
    (root / CIFAR10.folder).mkdir()
    for name in (*CIFAR10.train, *CIFAR10.test):
        count = samples // len(CIFAR10.train)
        images = rng.integers(0, 256, (count, PIXELS), dtype=np.uint8)
        batch = {"data": images, "labels": (np.arange(count) % CIFAR10.num_classes).tolist()}
        (root / CIFAR10.folder / name).write_bytes(pickle.dumps(batch, protocol=4))


def images_of(root: Path, batch: int, **changes: Any) -> ImageData:
    """The data module of those files."""
    return ImageData(name="cifar10", root=str(root), checksums="none", batch_size=batch, **changes)


def pss_mb() -> float:
    """This process's share of the memory, in MB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024 / 1e6


def read_and_tell(root: Path, batch: int, share: bool, folder: str, pipe: Connection) -> None:
    """One process: tells seconds to the first batch, then, when asked, its memory."""
    torch.set_num_threads(1)
    tempfile.tempdir = folder
    if not share:
        shared.SMALL_BYTES = 2**62
    start_s = time.perf_counter()
    loader = images_of(root, batch).train_dataloader()
    next(iter(loader))
    pipe.send(time.perf_counter() - start_s)
    samples: Any = loader.dataset
    samples._images.sum()
    pipe.recv()
    pipe.send(pss_mb())
    pipe.recv()


def memory(root: Path, batch: int, processes: int, share: bool) -> list[str]:
    """One row: seconds of the first process and of the others, and memory."""
    context = multiprocessing.get_context("spawn")
    pipes, first_batch_s = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            context.Process(
                target=read_and_tell, args=(root, batch, share, folder, theirs), daemon=True
            ).start()
            pipes.append(ours)
            first_batch_s.append(ours.recv())
        for pipe in pipes:
            pipe.send("how much?")
        told_mb = [pipe.recv() for pipe in pipes]
        for pipe in pipes:
            pipe.send("thanks")
    return [
        "one copy per node" if share else "a copy per process",
        f"{first_batch_s[0]:.2f}",
        f"{statistics.mean(first_batch_s[1:]):.2f}",
        f"{statistics.mean(told_mb):.0f}",
        f"{sum(told_mb):.0f}",
    ]


def median_ms(work: Callable[[], object], times: int) -> float:
    """Of so many calls, after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        start_s = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start_s))
    return statistics.median(taken)


def step_ms(batch: int) -> float:
    """A step of ResNet-18 with the ImageNet stem, in 32 bits and channels_last."""
    network = build_network("resnet18", CIFAR10.num_classes, 3, "imagenet")
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(batch, 3, IMAGE_SIZE, IMAGE_SIZE)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CIFAR10.num_classes, (batch,))

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return median_ms(step, times=3)


def batches_of(root: Path, batch: int, **changes: Any) -> Batches:
    """As a runner has them."""
    module = images_of(root, batch, **changes)
    return Batches(module.train_dataloader(), module.val_dataloader(), Populations((0,)))


def slice_ms(source: Batches, batches: int, slices: int, anew: bool) -> float:
    """Median time to go through a slice's batches; ``anew``: by new processes each time."""
    numbers = iter(range(1 + slices))

    def go_through() -> None:
        for _ in source.for_slice(0, batches * next(numbers), batches):
            pass
        if anew:
            source.close()

    taken_ms = median_ms(go_through, slices)
    source.close()
    return taken_ms


def table(title: str, *headers: str) -> Table:
    """An empty one."""
    return Table(*(Column(header, justify="right") for header in headers), title=title)


def memory_table(options: argparse.Namespace, root: Path) -> Table:
    """Both ways to keep images."""
    title = f"{options.processes} processes: time to the first batch, memory"
    headers = ("images", "first process s", "others s", "Pss MB each", "Pss MB together")
    made = table(title, *headers)
    for share in (False, True):
        made.add_row(*memory(root, options.batch, options.processes, share))
    return made


def batches_table(options: argparse.Namespace, root: Path) -> Table:
    """Each augmentation."""
    step = step_ms(options.batch)
    made = table(f"a batch of {options.batch}", "augmentation", "ms", f"of a {step:.0f} ms step")
    for name, changes in AUGMENTATIONS.items():
        source = batches_of(root, options.batch, **changes)
        taken_ms = slice_ms(source, options.batches, 5, anew=False) / options.batches
        made.add_row(name, f"{taken_ms:.1f}", f"{100 * taken_ms / step:.1f} %")
    return made


def slices_table(options: argparse.Namespace, root: Path) -> Table:
    """Each way to make the batches of a slice."""
    ways = {
        "the process that trains": (True, False),
        "2 processes that last": (False, False),
        "2 new processes each time": (False, True),
    }
    made = table(f"the {options.batches} batches of a slice", "made by", "ms")
    for name, (resident, anew) in ways.items():
        source = batches_of(
            root, options.batch, augment=True, cutout=8, device_resident=resident
        )  # fmt: skip
        made.add_row(name, f"{slice_ms(source, options.batches, 7, anew):.0f}")
    return made


PARTS = {"memory": memory_table, "batches": batches_table, "slices": slices_table}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    parser.add_argument("--samples", type=int, default=50_000, help="training images")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--batches", type=int, default=10, help="of a slice")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Print a table per part."""
    options = parse(arguments)
    told = conditions("torch", "numpy")
    torch.set_num_threads(options.threads)
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # what is decoded goes with it
        write_files(Path(folder), options.samples)
        made = [PARTS[part](options, Path(folder)) for part in options.parts]
    tempfile.tempdir = before
    what = f"{options.samples} images, {options.threads} threads"
    Console(width=100).print(*made, f"{what}; {told}")


if __name__ == "__main__":
    main()
