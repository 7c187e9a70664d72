"""How long a worker stands between two slices, and how many processes a run starts.

    python -m benchmarks.handover                 # without state and with 100 MB
    python -m benchmarks.handover --loggers none hrfs tune --state-mb 0
    python -m benchmarks.handover --network resnet18 --slices 6 --iterations 10

A hand-over is the time from the end of a slice (its evaluation done) to the first iteration
of the next slice on the same worker, as the worker's own clock sees it: the state is saved, the
result goes to the driver, the scheduler decides, the next trial arrives with its state. Loggers:
``hrfs`` are those of a run (CSV, TensorBoard, console), ``tune`` are Ray Tune's own (CSV, JSON,
TensorBoard) beside them. Nearly every slice is of another trial than the one before.

With ``--network`` one worker trains on this machine's CPU, two trials by turns, and the parts of
its slices are read from the run's ``slices.csv``: each loads the state that the slice before the
last one saved. Left out are the slices that began a trial.
"""

from __future__ import annotations

import argparse
import os

from rich.console import Console

from benchmarks.conditions import conditions
from benchmarks.handover import idle, training


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--state-mb", type=float, nargs="+", default=[0.0, 100.0])
    parser.add_argument("--workers", type=int, default=2, help="of the idle trials")
    parser.add_argument("--loggers", nargs="+", choices=idle.LOGGERS, default=["hrfs"])
    parser.add_argument("--network", choices=("small_resnet", "resnet18", "resnet50"))
    parser.add_argument("--stem", choices=("imagenet", "cifar"))
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=50, help="of a slice")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.network is None:
        told = conditions("ray", "numpy")
        sizes = options.state_mb, options.slices, options.workers, options.loggers
        Console().print(idle.table(*sizes), told)
        return
    told = conditions("ray", "torch", "pytorch-lightning")
    work = training.Work(
        options.network, options.stem, options.batch, options.iterations, options.slices,
        options.samples, options.threads,
    )  # fmt: skip
    Console(width=100).print(training.table(work, training.measure(work)), told)


if __name__ == "__main__":
    main()
