"""What pinning workers to cores of their own brings, and what a second thread does.

    python -m benchmarks.cores

Two processes of one thread each train at the same time, pinned to a core each as
``cluster.pin_cores`` does it, and free to use any; then one process alone with one and with two
threads. All by the slice runner (evaluation of one batch included), ResNet-18 with torchvision's
stem, images of CIFAR's size. The cases take turns, since a machine is not always equally fast.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.conditions import conditions
from benchmarks.together import Order, Team, settings, team
from hrfs.experiment.cores import CoreShare
from hrfs.experiment.cores_here import cores_to_pin
from hrfs.experiment.records import WorkerInfo

WORKERS = 2
COLUMNS = ("processes", "threads of each", "cores", "images/s", "lowest", "highest")


@dataclass(frozen=True, slots=True)
class Case:
    """One row."""

    processes: int
    threads: int
    pinned: bool

    def orders(self, seconds: float, iterations: int) -> list[Order]:
        """One for each process."""
        share = CoreShare(self.threads, ((self.threads, self.processes),), required=True)
        worker = WorkerInfo("here", "cpu", "here", self.threads)
        order = Order(worker, iterations, seconds, share if self.pinned else None)
        return [order] * self.processes


CASES = (
    Case(WORKERS, 1, pinned=True),
    Case(WORKERS, 1, pinned=False),
    Case(1, 1, pinned=True),
    Case(1, 1, pinned=False),
    Case(1, 2, pinned=True),
    Case(1, 2, pinned=False),
)


def images_per_s(case: Case, workers: Team, options: argparse.Namespace) -> float:
    """Of all processes together."""
    done = workers.train(case.orders(options.seconds, options.iterations))
    if case.pinned and not all(one.cores for one in done):
        raise SystemExit("hrfs: other processes keep to the cores; end their runs first")
    return sum(options.batch * one.iterations / one.seconds for one in done)


def main() -> None:
    """Print one row per case: the median, the least and the most of its rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=5, help="of a slice")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a case in a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    there = cores_to_pin()
    if there is None or there < WORKERS:
        parser.error(f"needs Linux and {WORKERS} cores, and has {there or 'another system'}")
    runner = settings("resnet18", "imagenet", options.batch, "32-true")
    told = conditions("torch", "pytorch-lightning")
    found: dict[Case, list[float]] = {case: [] for case in CASES}
    with team(WORKERS, runner) as workers:
        for _ in range(options.rounds):
            for case in CASES:
                found[case].append(images_per_s(case, workers, options))
    table = Table(*COLUMNS, title=f"ResNet-18, batch {options.batch}, all processes together")
    for case, speeds in found.items():
        figures = (statistics.median(speeds), min(speeds), max(speeds))
        where = "own" if case.pinned else "any"
        table.add_row(
            str(case.processes), str(case.threads), where, *(f"{speed:.0f}" for speed in figures)
        )
    Console().print(table, f"{options.rounds} rounds of {options.seconds:g} s; {told}")


if __name__ == "__main__":
    main()
