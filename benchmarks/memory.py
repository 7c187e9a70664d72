"""What a worker's process holds in memory, and whether that grows from slice to slice.

    python -m benchmarks.memory                      # both tables; 5 min
    python -m benchmarks.memory --stems              # growth alone
    python -m benchmarks.memory --slices 0           # sizes alone

Sizes: a process as a worker's is, Ray Tune imported, trains ResNet-18 on images of the size and
number of CIFAR's: load, slice, evaluation and save, in a process of its own for each stem. What
files map (libraries, for the most part) is shared by all workers of a node. Growth: one process
trains many short slices of a small network; trials take turns, so that each slice loads and saves
a state, and exploits copy one trial's to another. The slope is that of a straight line through
all points after the first fifth, with its standard error.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.conditions import conditions
from hrfs.experiment.process_start import keep_for_good
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest
from hrfs.tuning.runner_trainable import RunnerTrainable  # noqa: F401 - what a worker imports is counted

STATUS = Path("/proc/self/status")
PEAK_ANEW = Path("/proc/self/clear_refs")
"""A 5 written there has the kernel begin anew with the most that was resident."""
TRIALS = 8
WORKER = WorkerInfo("here/cpu/0", "cpu", "here", 1.0, 0.0)
WARM_UP = 0.2
"""Part of the slices that the slope leaves out."""
EXPLOIT_EVERY = 7
POINTS = 10
EVALUATED = 4
"""Batches of images that are evaluated: together they are one batch of an evaluation."""
SMALL = {"network": "small_resnet", "width": 8, "samples": 1000, "image_size": 8, "batch": 32}
WHOLE = {"network": "resnet18", "samples": 50_000, "image_size": 32}


def resident_mb() -> dict[str, float]:
    """Memory of this process in MiB: resident now, of it its own (``anon``), and at most."""
    told = dict(re.findall(r"^(VmRSS|RssAnon|VmHWM):\s+(\d+) kB$", STATUS.read_text(), re.M))
    names = {"resident": "VmRSS", "own": "RssAnon", "peak": "VmHWM"}
    return {name: int(told[field]) / 1024 for name, field in names.items()}


def runner_of(spec: dict[str, Any], threads: int) -> Any:
    """A slice runner of that network and dataset."""
    from hrfs.training.runner import build

    network = {k: v for k, v in spec.items() if k in ("network", "stem", "width")}
    return build(
        {
            "model": {
                "_target_": "hrfs.training.module.ImageClassifier",
                "num_classes": 10, "channels": 3, **network,
            },
            "dataset": {
                "_target_": "hrfs.training.data.ImageData", "name": "synthetic",
                "samples": spec["samples"], "num_classes": 10, "channels": 3,
                "image_size": spec["image_size"], "batch_size": spec["batch"],
            },
            "trainer": {"threads": threads, "validation_samples": spec.get("evaluated")},
            "seed": 0,
        }
    )  # fmt: skip


def measure_size(spec: dict[str, Any], threads: int) -> dict[str, float]:
    """MiB after a slice of one iteration whose freed memory was given back, as that of a slice of
    some length is; and at most in the next, from its load to its save, where so short a slice keeps
    what it frees.
    """
    runner = runner_of(spec, threads)
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        runner.begin(0)
        for number in range(2):
            if number:
                PEAK_ANEW.write_text("5")
                runner.load(state)
            runner.run(SliceRequest(number, 0, number, 1, WORKER, {"lr": 0.01}))
            runner.save(state)
            if not number:
                sizes = resident_mb()
    return {**sizes, "peak": resident_mb()["peak"]}


def measure_growth(slices: int, iterations: int) -> list[float]:
    """MiB of the process's own after each of so many slices."""
    runner = runner_of(SMALL, threads=1)
    keep_for_good()  # as a worker's process does once it has its runner
    own = []
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / f"trial_{trial}" for trial in range(TRIALS)]
        for number in range(slices):
            turn, trial = divmod(number, TRIALS)
            if turn:
                exploits = number % EXPLOIT_EVERY == 0
                runner.load(files[0 if exploits else trial])
            else:
                runner.begin(trial)
            values = {"lr": 0.01 * (1 + trial)}
            start = turn * iterations
            runner.run(SliceRequest(number, trial, start, iterations, WORKER, values))
            runner.save(files[trial])
            own.append(resident_mb()["own"])
    gc.unfreeze()
    return own


def slope_kb(own_mb: Sequence[float]) -> tuple[float, float]:
    """Growth in KiB per slice by least squares, and its standard error; warm-up left out."""
    kept = np.asarray(own_mb[int(WARM_UP * len(own_mb)) :]) * 1024
    slices = np.arange(len(kept)) - (len(kept) - 1) / 2
    spread = float(slices @ slices)
    slope = float(slices @ kept) / spread
    rest = kept - kept.mean() - slope * slices
    return slope, math.sqrt(float(rest @ rest) / (len(kept) - 2) / spread)


def size_in_own_process(spec: Mapping[str, Any], threads: int) -> dict[str, float]:
    """:func:`measure_size` where nothing was in memory before."""
    asked = [sys.executable, "-m", "benchmarks.memory", "--threads", str(threads)]
    done = subprocess.run(
        [*asked, "--size-of", json.dumps(spec)], check=True, stdout=subprocess.PIPE, text=True
    )
    sizes: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return sizes


def print_sizes(console: Console, specs: Mapping[str, Mapping[str, Any]], threads: int) -> None:
    """One row for each of ``specs``."""
    table = Table(title="a worker's process, MiB")
    for column in ("", "batch", "resident", "of it its own", "peak"):
        table.add_column(column, justify="right")
    for name, spec in specs.items():
        sizes = size_in_own_process(spec, threads)
        shown = [f"{sizes[part]:.0f}" for part in ("resident", "own", "peak")]
        table.add_row(name, str(spec["batch"]), *shown)
    console.print(table)


def print_growth(console: Console, slices: int, iterations: int) -> None:
    """The process's own memory at ten points, and the slope."""
    own = measure_growth(slices, iterations)
    table = Table(title="after so many slices, its own, MiB")
    points = range(slices // POINTS - 1, slices, slices // POINTS)
    for point in points:
        table.add_column(str(point + 1), justify="right")
    table.add_row(*(f"{own[point]:.1f}" for point in points))
    slope, error = slope_kb(own)
    console.print(table)
    console.print(f"growth {slope:.2f} ± {error:.2f} KiB per slice after the first {WARM_UP:.0%}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=500, help="0: sizes alone")
    parser.add_argument("--iterations", type=int, default=2, help="of a slice")
    parser.add_argument("--stems", nargs="*", default=["imagenet", "cifar"], help="of ResNet-18")
    parser.add_argument("--batch", type=int, default=512, help="of ResNet-18")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.size_of:
        print(json.dumps(measure_size(json.loads(options.size_of), options.threads)))
        return
    told = conditions("torch", "pytorch-lightning", "ray")
    console = Console(width=120)
    whole = {
        f"ResNet-18, {stem} stem": {
            **WHOLE, "stem": stem, "batch": options.batch, "evaluated": EVALUATED * options.batch,
        }
        for stem in options.stems
    }  # fmt: skip
    if whole:
        print_sizes(console, whole, options.threads)
    if options.slices:
        print_growth(console, options.slices, options.iterations)
    console.print(told)


if __name__ == "__main__":
    main()
