"""How long a user waits before anything happens: the commands, and the demo's first iteration.

    python -m benchmarks.startup               # three of each; 3 min
    python -m benchmarks.startup --times 1 --commands

Commands are timed from outside. The demo is started as a user starts it, four emulated workers
on this machine, and interrupted once every worker trains. Its processes carry time stamps that
:mod:`benchmarks.startup.stamps` puts into them. Computed: CPU seconds of a process until then.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.conditions import conditions
from benchmarks.startup.measure import PHASES, phases_of, seconds_of, stamped_demo

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "tests" / "golden" / "uniform_four.json"
COMMANDS = {
    "python -m hrfs --help": ["-m", "hrfs", "--help"],
    "python -m hrfs.simulate --help": ["-m", "hrfs.simulate", "--help"],
    "python -m hrfs.simulate workload=...": ["-m", "hrfs.simulate", f"workload={SPEC}"],
}


def table_of(title: str, rows: dict[str, list[float]]) -> Table:
    """One row per measured thing: each of its runs, and their median."""
    table = Table(title=title)
    table.add_column("seconds")
    for number in range(len(next(iter(rows.values())))):
        table.add_column(f"run {number + 1}", justify="right")
    table.add_column("median", justify="right")
    for name, seconds in rows.items():
        shown = [f"{value:.2f}" for value in (*seconds, statistics.median(seconds))]
        table.add_row(name, *shown)
    return table


def demo_rows(times: int, overrides: Sequence[str]) -> dict[str, list[float]]:
    """The phases of so many starts of the demo."""
    rows: dict[str, list[float]] = {name: [] for name in PHASES}
    for _ in range(times):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for name, seconds in phases_of(*stamped_demo(Path(folder), overrides)).items():
                rows[name].append(seconds)
    return rows


def main() -> None:
    """Print a table of the commands and one of the demo's phases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--commands", action="store_true", help="without the demo")
    parser.add_argument("--overrides", nargs="*", default=[], help="of the demo's configuration")
    options = parser.parse_args()
    told = conditions("ray", "torch", "pytorch-lightning")
    console = Console(width=120)
    timed = {
        name: [seconds_of([sys.executable, *arguments]) for _ in range(options.times)]
        for name, arguments in COMMANDS.items()
    }
    console.print(table_of("commands", timed))
    if not options.commands:
        console.print(table_of("the demo", demo_rows(options.times, options.overrides)))
    console.print(told)


if __name__ == "__main__":
    main()
