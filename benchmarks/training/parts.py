"""What a slice costs beside a bare PyTorch loop of the same network on the same device.

    python -m benchmarks.training.parts --device gpu
    python -m benchmarks.training.parts --device cpu --batch 128 --iterations 4 --samples 2000

The slice runner of :mod:`hrfs.training.runner` trains as a worker's process does: the state is
loaded from a file, the slice is run, the state is saved, and each part is timed. Images are
made (`dataset=synthetic`), in the size and number of CIFAR's, and go through the data module of
the other datasets. The bare loop has the network, optimizer, number format and memory order of
the slice and nothing else: one batch of floats that lies on the device, no logging, no seeds.
Slices and bare loops take turns, since a GPU that waits for its host is as fast as the host is
at that moment. Busy is the time of all kernels of a slice, as torch's profiler sums them, over
the unprofiled time of its training and evaluation.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Column, Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.conditions import conditions
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest
from hrfs.training.networks import build_network
from hrfs.training.runner import LightningSliceRunner, build

CLASSES, CHANNELS, IMAGE_SIZE = 10, 3, 32
VALUES = {"lr": 0.05, "momentum": 0.9}
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
COLUMNS = (
    "network", "precision", "layout", "augment", "bare im/s", "slice im/s", "share",
    "with I/O im/s", "load", "train", "evaluate", "other", "save", "MB", "busy",
)  # fmt: skip
FULL_TABLE = 200  # characters; fewer would cut the figures off


@dataclass(frozen=True, slots=True)
class Case:
    """One row: what is trained, and how."""

    network: str
    stem: str
    precision: str
    channels_last: bool
    augment: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds of one slice. ``run_s`` holds ``train_s`` and ``evaluate_s``."""

    load_s: float
    run_s: float
    train_s: float
    evaluate_s: float
    save_s: float

    @property
    def other_s(self) -> float:
        """Seconds of ``run`` that were neither training nor evaluation."""
        return self.run_s - self.train_s - self.evaluate_s


def runner_settings(case: Case, batch: int, samples: int) -> dict[str, Any]:
    """As the command line would hand them to a worker."""
    return {
        "model": {
            "_target_": "hrfs.training.module.ImageClassifier",
            "network": case.network, "stem": case.stem,
            "num_classes": CLASSES, "channels": CHANNELS,
        },
        "dataset": {
            "_target_": "hrfs.training.data.ImageData", "name": "synthetic", "samples": samples,
            "num_classes": CLASSES, "channels": CHANNELS, "image_size": IMAGE_SIZE,
            "batch_size": batch, "augment": case.augment,
        },
        "trainer": {"precision": case.precision, "channels_last": case.channels_last},
        "seed": 0,
    }  # fmt: skip


def bare_step(case: Case, device: torch.device, batch: int) -> Callable[[], Tensor]:
    """A function that does one optimizer step on a batch that lies on ``device``."""
    torch.manual_seed(0)
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    network = build_network(case.network, CLASSES, CHANNELS, case.stem)  # type: ignore[arg-type]
    network.to(device, memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), **VALUES, weight_decay=5e-4)
    shape = (batch, CHANNELS, IMAGE_SIZE, IMAGE_SIZE)
    images = torch.randn(shape, device=device).contiguous(memory_format=layout)
    labels = torch.randint(0, CLASSES, (batch,), device=device)
    dtype = AUTOCAST.get(case.precision)

    def step() -> Tensor:
        optimizer.zero_grad()
        with nullcontext() if dtype is None else torch.autocast(device.type, dtype):
            loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def seconds_of(step: Callable[[], Tensor], device: torch.device, steps: int) -> float:
    """Seconds that ``steps`` steps take."""
    start_s = _now_s(device)
    for _ in range(steps):
        step()
    return _now_s(device) - start_s


def _now_s(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def time_slice(runner: LightningSliceRunner, request: SliceRequest, folder: Path) -> Parts:
    """Load the state of the slice before, do the slice, save its own."""
    file = state_file(folder, request.slice)
    marks = [time.perf_counter()]
    runner.load(state_file(folder, request.slice - 1))
    marks.append(time.perf_counter())
    result = runner.run(request)
    marks.append(time.perf_counter())
    runner.save(file)
    marks.append(time.perf_counter())
    state_file(folder, request.slice - 1).unlink()
    load_s, run_s, save_s = (after - before for before, after in itertools.pairwise(marks))
    return Parts(load_s, run_s, result.train_s, result.evaluate_s, save_s)


def state_file(folder: Path, slice_number: int) -> Path:
    """Where the state after a slice is; each has a file of its own, as in a run."""
    return folder / f"state_{slice_number}"


def kernel_s(runner: LightningSliceRunner, request: SliceRequest) -> float:
    """Seconds for which kernels ran on the GPU in one slice."""
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiler:
        runner.run(request)
    return sum(event.self_device_time_total for event in profiler.key_averages()) / 1e6


def measure(case: Case, options: argparse.Namespace, worker: WorkerInfo) -> list[str]:
    """The row of one case; parts in milliseconds, medians over the slices."""
    device = torch.device("cuda" if worker.on_gpu else "cpu")
    torch.set_num_threads(int(worker.cpus))
    step = bare_step(case, device, options.batch)
    runner = build(runner_settings(case, options.batch, options.samples))

    def request(number: int) -> SliceRequest:
        start = number * options.iterations
        return SliceRequest(number, 0, start, options.iterations, worker, VALUES)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runner.begin(0)
        runner.run(request(0))  # warms up: libraries load, kernels are chosen
        runner.save(state_file(folder, 0))
        seconds_of(step, device, options.iterations)
        parts, bare_s = [], []
        for number in range(1, 1 + options.slices):
            parts.append(time_slice(runner, request(number), folder))
            bare_s.append(seconds_of(step, device, options.iterations))
        size_mb = state_file(folder, options.slices).stat().st_size / 1e6
    busy_s = kernel_s(runner, request(1 + options.slices)) if worker.on_gpu else None
    return row(case, bare_s, parts, options.batch * options.iterations, size_mb, busy_s)


def row(
    case: Case, bare_s: list[float], parts: list[Parts], images: int, size_mb: float,
    busy_s: float | None,
) -> list[str]:  # fmt: skip
    """The cells under :data:`COLUMNS`. ``images``: those of one slice."""

    def median(part: str) -> float:
        return statistics.median(getattr(slice_parts, part) for slice_parts in parts)

    whole_s = statistics.median(part.load_s + part.run_s + part.save_s for part in parts)
    names = ("load_s", "train_s", "evaluate_s", "other_s", "save_s")
    speed, bare = images / median("train_s"), images / statistics.median(bare_s)
    return [
        f"{case.network}/{case.stem}", case.precision,
        "channels_last" if case.channels_last else "contiguous",
        "yes" if case.augment else "no",
        f"{bare:.0f}", f"{speed:.0f}", f"{speed / bare:.2f}", f"{images / whole_s:.0f}",
        *(f"{1000 * median(name):.1f}" for name in names), f"{size_mb:.0f}",
        "" if busy_s is None else f"{busy_s / (median('train_s') + median('evaluate_s')):.2f}",
    ]  # fmt: skip


def parse() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--networks", nargs="+", default=["resnet18", "resnet50"])
    parser.add_argument("--stem", choices=("imagenet", "cifar"), default="imagenet")
    parser.add_argument("--precisions", nargs="+", default=["32-true", "bf16-mixed"])
    parser.add_argument("--contiguous", action="store_true", help="also without channels_last")
    parser.add_argument("--augment", action="store_true", help="also with crops and mirroring")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=50, help="of a slice")
    parser.add_argument("--slices", type=int, default=5)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--cpus", type=int, help="threads; default: all on the CPU, 1 for a GPU")
    return parser.parse_args()


def main() -> None:
    """Print one row per case."""
    options = parse()
    on_gpu = options.device == "gpu"
    name = torch.cuda.get_device_name() if on_gpu else "cpu"
    told = conditions("torch", "pytorch-lightning")
    cpus = options.cpus or (1 if on_gpu else os.cpu_count() or 1)
    worker = WorkerInfo(f"here/{options.device}/0", options.device, "here", cpus, float(on_gpu))
    title = f"slices of {options.iterations} steps, batch {options.batch}; parts in ms"
    table = Table(*(Column(header, justify="right") for header in COLUMNS), title=title)
    layouts = [True, False] if options.contiguous else [True]
    augments = [False, True] if options.augment else [False]
    rows = (options.networks, [options.stem], options.precisions, layouts, augments)
    for case in itertools.starmap(Case, itertools.product(*rows)):
        cells = measure(case, options, worker)
        print(*cells, file=sys.stderr)  # a row may take a minute
        table.add_row(*cells)
    what = f"{name}, {cpus} threads, {options.slices} slices, {options.samples} images"
    Console(width=FULL_TABLE).print(table, f"{what}; {told}")


if __name__ == "__main__":
    main()
