"""Measures and prints the table; see the package."""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.table import Column, Table

from benchmarks import training
from benchmarks.conditions import conditions
from benchmarks.training.case import CIFAR_SAMPLES, Case
from benchmarks.training.processes import WAYS, Measured, Process

STEMS = ("imagenet", "cifar")
WITH_STEM = ("resnet18", "resnet50")
COLUMNS = (
    "network", "batch", "original im/s", "bare im/s", "slice im/s", "evaluated im/s",
    "slice / bare", "slice / original", "loading", "matmul", "peak MB", "bare", "slice",
)  # fmt: skip
FULL_TABLE = 180  # characters; fewer would cut the figures off
SPEED = "images_per_s"
MOST_ITERATIONS = 50
"""Of a round: a slice of the paper."""


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """One per row."""
    on_gpu = options.device == "gpu"
    compiled = on_gpu if options.compile is None else options.compile
    for network, batch in itertools.product(options.networks, options.batches):
        for stem in options.stems if network in WITH_STEM else (None,):
            yield Case(
                network=network, stem=stem, batch=batch, samples=options.samples,
                on_gpu=on_gpu, threads=options.threads,
                reduced_precision=not options.full_precision, compiled=compiled,
            )  # fmt: skip


def measure(case: Case, options: argparse.Namespace) -> dict[str, Measured]:
    """All ways in turn, there and back; each first warms up by a step and shows its pace by one.

    A round of as many steps as take ``round_s`` is not counted, since the slice runner is built
    anew for another length; then come the rounds, as far as ``row_s`` goes, as many of each way.
    """
    start_s = time.perf_counter()
    processes = {way: Process(way, case) for way in options.ways}
    iterations = {}
    for way, process in processes.items():
        process.round(1)
        pace_s = process.round(1)
        iterations[way] = max(1, min(MOST_ITERATIONS, round(options.round_s / max(pace_s, 1e-6))))
        if iterations[way] > 1:
            process.round(iterations[way])
        process.measured.rounds.clear()
    for done in range(options.rounds):
        if done and time.perf_counter() - start_s > options.row_s:
            break
        for way in options.ways[:: -1 if done % 2 else 1]:
            processes[way].round(iterations[way])
    return {way: process.end() for way, process in processes.items()}


def row(case: Case, measured: dict[str, Measured]) -> list[str]:
    """The cells under :data:`COLUMNS`: the fastest rounds, and medians of ratios."""

    def figure_of(way: str, figure: str, of_rounds: Callable[[list[float]], float]) -> float | None:
        found = measured.get(way)
        if found is None or found.failed:
            return None
        return of_rounds([one[figure] for one in found.rounds])

    def ratio(over: str) -> str:
        """Of rounds that were beside each other: a machine is not always as fast."""
        if any(way not in measured or measured[way].failed for way in ("slice", over)):
            return ""
        pairs = zip(measured["slice"].rounds, measured[over].rounds, strict=True)
        return f"{statistics.median(one[SPEED] / other[SPEED] for one, other in pairs):.2f}"

    def speed_of(way: str, figure: str = SPEED) -> str:
        if way in measured and measured[way].failed:
            return measured[way].failed
        value = figure_of(way, figure, max)
        return "" if value is None else f"{value:.0f}"

    loading = figure_of("slice", "loading", statistics.median)
    matmul = figure_of("slice", "matmul", max)
    peaks = (f"{measured[way].peak_mb:.0f}" if way in measured else "-" for way in WAYS)
    return [
        case.name, str(case.batch),
        speed_of("original"), speed_of("bare"), speed_of("slice"),
        speed_of("slice", "evaluated_images_per_s"),
        ratio("bare"), ratio("original"),
        "" if loading is None else f"{loading:.1%}",
        "" if matmul is None else f"{matmul:.0%}",
        " / ".join(peaks),
        *(measured[way].told if way in measured else "" for way in ("bare", "slice")),
    ]  # fmt: skip


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options."""
    summary = str(training.__doc__).splitlines()[0]
    parser = argparse.ArgumentParser("python -m benchmarks.training", description=summary)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--networks", nargs="+", default=list(WITH_STEM))
    parser.add_argument("--stems", nargs="+", choices=STEMS, default=list(STEMS))
    parser.add_argument("--batches", nargs="+", type=_positive, default=[128, 512])
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS))
    parser.add_argument("--rounds", type=_positive, default=5)
    parser.add_argument("--round-s", type=float, default=5.0, help="about how long a round lasts")
    parser.add_argument(
        "--row-s", type=float, default=150.0,
        help="no further round of a row begins after so many seconds of it",
    )  # fmt: skip
    parser.add_argument("--samples", type=_positive, default=CIFAR_SAMPLES)
    parser.add_argument("--threads", type=_positive, default=os.cpu_count() or 1)
    parser.add_argument("--full-precision", action="store_true", help="try 32 bit alone")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction,
        help="try torch.compile; default: on a GPU, for on a CPU it takes a minute a row and more",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row per case."""
    options = parse(arguments)
    told = conditions("torch", "pytorch-lightning")
    table = Table(*(Column(header, justify="right") for header in COLUMNS))
    for case in cases(options):
        cells = row(case, measure(case, options))
        print(*cells, sep="  ", file=sys.stderr, flush=True)  # a row may take minutes
        table.add_row(*cells)
    rounds = f"{options.rounds} rounds of about {options.round_s:g} s"
    what = f"{_device(options.device)}, {options.threads} threads, {rounds}"
    Console(width=FULL_TABLE).print(table, f"{what}, {options.samples} images; {told}")


def _device(device: str) -> str:
    if device == "cpu":
        return "CPU"
    import torch

    return torch.cuda.get_device_name()


if __name__ == "__main__":
    main()
