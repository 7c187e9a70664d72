"""What several workers on one GPU train together, to choose ``gpus_per_worker`` by.

    python -m benchmarks.gpu_sharing
    python -m benchmarks.gpu_sharing --network resnet50 --stem cifar --batch 128

1, 2 and 4 processes share the first GPU, each with as many cores as a GPU worker has, and train by
the slice runner at the same time. If two train more images per second than one, so will two workers
with ``gpus_per_worker: 0.5``. With NVIDIA's MPS daemon running (docs/clusters.md) their kernels run
beside each other, without it they take turns: measure as you will train.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.conditions import conditions
from benchmarks.together import Done, Order, settings, team
from hrfs.experiment.cluster import gpu_kind
from hrfs.experiment.cores import CoreShare
from hrfs.experiment.records import WorkerInfo

COLUMNS = ("processes", "gpus_per_worker", "images/s each", "images/s in all", "times one")
NO_GPU = "hrfs: there is no CUDA GPU here; run this on a machine with one"


def orders(processes: int, cpus: int, iterations: int, seconds: float) -> list[Order]:
    """One for each process: a GPU worker's."""
    worker = WorkerInfo("here", gpu_kind("", processes), "here", cpus, 1 / processes)
    share = CoreShare(cpus, ((cpus, processes),))
    return [Order(worker, iterations, seconds, share)] * processes


def row(done: list[Done], batch: int, alone: float | None) -> tuple[list[str], float]:
    """The cells, and images per second in all; ``alone`` is those of one process."""
    each = [batch * one.iterations / one.seconds for one in done]
    total = sum(each)
    shown = "-".join(f"{speed:.0f}" for speed in sorted({min(each), max(each)}))
    times = f"{total / alone:.2f}" if alone else "1"
    return [str(len(done)), f"{1 / len(done):g}", shown, f"{total:.0f}", times], total


def main() -> int:
    """Print one row per number of processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=("resnet18", "resnet50"), default="resnet18")
    parser.add_argument("--stem", choices=("imagenet", "cifar"), default="imagenet")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--cpus", type=int, default=1, help="of each process")
    parser.add_argument("--iterations", type=int, default=50, help="of a slice")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name(0)
    told = conditions("torch", "pytorch-lightning")
    what = f"{options.network}/{options.stem}, batch {options.batch}, {options.precision}"
    table = Table(*COLUMNS, title=f"{what} on one {name}")
    runner = settings(options.network, options.stem, options.batch, options.precision)
    alone: float | None = None
    with team(max(options.processes), runner) as workers:
        for processes in options.processes:
            wanted = orders(processes, options.cpus, options.iterations, options.seconds)
            cells, total = row(workers.train(wanted), options.batch, alone)
            alone = total if processes == 1 else alone
            table.add_row(*cells)
    Console().print(table, told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
