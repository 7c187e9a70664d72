"""A population on emulated nodes while something is killed at random every few seconds.

    python -m benchmarks.chaos                     # 50 kills, about 10 minutes
    python -m benchmarks.chaos --kills 8 --short   # two nodes, four trials
    python -m benchmarks.chaos --markdown          # the tables as docs/reliability.md has them

Nodes are raylets on this machine, with one CPU each. The driver is the command itself, in a
process of its own; only its runner is another one, a small network on digits in numpy at a pace
of its node's own, since a process that loads torch takes longer to start than lies between two
kills. The same population runs undisturbed first. What, where and when is drawn from ``--seed``;
what a kill meets differs from run to run. The run leaves a byte on the disk for each
optimizer step: iterations done again are those bytes less the iterations that count.

Exit code 1 if a trial did not finish, anything that must hold was broken, or more was lost than
the slices under way on what was killed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.chaos.faults import SHARES
from benchmarks.chaos.nodes import want_token
from benchmarks.chaos.run import Run, plan_of, run
from benchmarks.chaos.settings import Settings, long_form, short_form
from benchmarks.chaos.tables import figures, figures_table, kills_rows, kills_table, markdown
from benchmarks.chaos.verdict import Check, judge
from benchmarks.conditions import conditions

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, judge, print."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.kills < 1 or not options.every_s > 0 or options.seed < 0:
        parser.error("--kills must be at least 1, --every-s above 0 and --seed at least 0")
    if options.keep and options.keep.exists() and any(options.keep.iterdir()):
        parser.error(f"--keep {options.keep}: must be a new or an empty folder")
    settings = (short_form if options.short else long_form)(
        options.kills, options.every_s, options.seed
    )
    signal.signal(signal.SIGTERM, _end)
    console, told = Console(), conditions("ray", "numpy")
    _prepare_environment()
    keep = options.keep or Path(tempfile.mkdtemp(prefix="hrfs-chaos-"))
    calm = run(settings, keep / "undisturbed", [], console.print)
    trouble = f", {calm.trouble}" if calm.trouble else ""
    console.print(f"undisturbed: {calm.wall_s:.0f} s, exit code {calm.code}{trouble}")
    tormented = run(settings, keep / "killed", plan_of(settings, options.kinds), console.print)
    checks = judge(tormented, settings)
    _report(console, tormented, calm, settings, checks, options.markdown)
    console.print(f"{told}; files: {keep}", soft_wrap=True)
    if calm.code != 0 or any(check.broken for check in checks):
        sys.exit(1)


def _end(number: int, _: object) -> None:
    """Nothing is left behind; a second signal does not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(1)


def _report(
    console: Console,
    tormented: Run,
    calm: Run,
    settings: Settings,
    checks: Sequence[Check],
    as_markdown: bool,
) -> None:
    rows = figures(tormented, calm, settings, checks)
    if as_markdown:
        header = ["what", "kills", "with slices under way"]
        print(markdown(header, kills_rows(tormented)), "", sep="\n")
        print(markdown(["figure", "value"], rows), "", sep="\n")
    else:
        console.print(kills_table(tormented), figures_table(rows))
    for check in checks:
        console.print(f"{'BROKEN' if check.broken else 'kept':6}  {check.promise}", markup=False)
        for line in check.broken:
            console.print(f"        {line}", markup=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--every-s", type=float, default=4.0, help="seconds between two, at most")
    parser.add_argument("--seed", type=int, default=0, help="draws what is killed, where and when")
    parser.add_argument("--kinds", nargs="+", choices=list(SHARES), default=list(SHARES))
    parser.add_argument("--short", action="store_true", help="two nodes and four trials")
    parser.add_argument("--markdown", action="store_true", help="tables for the documents")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the runs' files go")
    return parser


def _prepare_environment() -> None:
    """For the nodes' processes and the driver, which import this package."""
    want_token()
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])


if __name__ == "__main__":
    main()
