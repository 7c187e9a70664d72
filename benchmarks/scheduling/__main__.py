"""The command; see the package."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks import scheduling
from benchmarks.conditions import conditions
from benchmarks.scheduling.measure import GOLDEN, NAMES, cases, results
from benchmarks.scheduling.plot import plot
from benchmarks.scheduling.suites import SUITES
from benchmarks.scheduling.tables import golden_table, suites_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and draw the plot if one is wanted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = Console()
    told = conditions("numpy", "scipy")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    todo = cases(options.policies, options.suites, seeds)
    began_s = time.monotonic()
    with results(todo, options.processes) as coming:
        quiet = not console.is_terminal
        found = list(track(coming, "simulating", len(todo), console=console, disable=quiet))
    took_s = time.monotonic() - began_s
    for table in (suites_table(found), golden_table(found)):
        if table is not None:
            console.print(table)
    console.print(
        f"{len(todo)} runs from seed {options.first_seed} on, in {took_s:.0f} s by "
        f"{options.processes} processes; {told}"
    )
    if options.plot:
        plot(found, options.plot)
        console.print(f"plot: {options.plot}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scheduling",
        description=(scheduling.__doc__ or "").splitlines()[0],
    )
    suites, policies = [*SUITES, GOLDEN], list(NAMES)
    parser.add_argument("--seeds", type=_positive, default=200, help="specs per suite")
    parser.add_argument("--first-seed", type=int, default=0, help="others are other clusters")
    parser.add_argument("--suites", nargs="+", choices=suites, default=suites)
    parser.add_argument("--policies", nargs="+", choices=policies, default=policies)
    parser.add_argument("--processes", type=_positive, default=os.cpu_count() or 1)
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the slowdowns")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


if __name__ == "__main__":
    main()
