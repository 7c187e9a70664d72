"""``python -m hrfs.simulate``: a spec of a cluster and a population, run in virtual time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hrfs.cli.command import run_command
from hrfs.cli.simulate_arguments import ReplayRequest, Request, parse
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.experiment.records import SliceRecord
from hrfs.simulator.driver import play
from hrfs.simulator.policies import NAMES, check_staleness, policy_for
from hrfs.simulator.result import Simulation
from hrfs.simulator.rules import check
from hrfs.simulator.spec import Workload
from hrfs.simulator.what_if import FORMS

HELP = """\
hrfs.simulate: how long a population takes on a cluster, without the cluster.

usage: python -m hrfs.simulate workload=SPEC.json [key=value ...]

  workload=SPEC.json      population and cluster (docs/simulator.md has the keys)
  scheduler=NAME          {schedulers}; default hrfs
  scheduler.request=KIND  of worker that the trials of ray_pbt ask for; default auto
  scheduler.max_staleness=100  iterations that a trial of hrfs may be ahead; default any
  out=slices.csv          where the slices go; without it nothing is written
  format=table|json       how the figures are printed; default table
  seed=0                  in place of the spec's seed
  seeds=0,1,2             one population for each, all on the same workers

  workload=from_run:FOLDER  a real run again, at the speeds that it showed
  what_if=CHANGE,...        and on a changed cluster, as often as you like; changes are
                            {changes}

examples:
  python -m hrfs.simulate workload=cluster.json scheduler=hrfs_paper out=slices.csv
  python -m hrfs.simulate workload=from_run:outputs/RUN what_if=+2:cpu what_if=population=40
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (``sys.argv`` by default) and exit; see :func:`run_command`."""
    told = HELP.format(schedulers=", ".join(NAMES), changes=FORMS)
    run_command("hrfs.simulate", told, arguments, _work)


def _work(typed: list[str]) -> None:
    request = parse(typed, NAMES)
    if isinstance(request, ReplayRequest):
        run_again(request)
    else:
        run(request)


def run(request: Request) -> None:
    """Simulate, write the slices and print the figures.

    Raises:
        ConfigError: anything that the user can mend.
    """
    workload = _workload(request)
    policy = policy_for(request.scheduler, workload, request.scheduler_request)
    staleness = request.max_staleness_iterations
    check_staleness(request.scheduler, workload, staleness)
    simulation = play(workload, policy, max_staleness_iterations=staleness)
    if request.out is not None:
        _write(request.out, simulation.records)
    _print(request, workload, simulation)


def _workload(request: Request) -> Workload:
    """The spec, with the seeds that were typed in place of its own."""
    workload = Workload.read(request.workload)
    if request.seed is not None:
        workload = dataclasses.replace(workload, seed=request.seed)
    if request.seeds is not None:
        workload = dataclasses.replace(workload, seeds=request.seeds)
        check(workload)
    return workload


def run_again(request: ReplayRequest) -> None:
    """Replay a real run and its changes, write the slices and print the comparison.

    Raises:
        ConfigError: anything that the user can mend.
    """
    from hrfs.cli.simulate_comparison import comparison
    from hrfs.cli.simulate_replay import replay

    compared, records = replay(request)
    if request.out is not None:
        _write(request.out, records)
    _show(request.format, compared, comparison)


def _write(out: Path, records: Sequence[SliceRecord]) -> None:
    # Imported here, since complaints about input come before and need none of it.
    from hrfs.reporting.slices_write import encode_slices

    try:
        write_atomically(out, encode_slices(records))
    except OSError as error:
        rule = f"cannot be written ({error.strerror or error})"
        raise ConfigError("out", out, rule, "choose another file") from error


def _print(request: Request, workload: Workload, simulation: Simulation) -> None:
    from hrfs.cli.simulate_summary import size, summarise, tables

    said = {"workload": str(request.workload), "scheduler": request.scheduler}
    told = size(len(workload.populations), workload.all_trials, len(workload.workers))
    title = f"{request.workload.name}, {told}, {request.scheduler}"
    summary = said | summarise(workload, simulation)
    _show(request.format, summary, lambda told: tables(title, told))


def _show(
    shape: str, figures: Mapping[str, Any], for_people: Callable[[Mapping[str, Any]], Any]
) -> None:
    """Print ``figures`` as JSON or as what ``for_people`` makes of them."""
    from hrfs.reporting.cells import strict
    from hrfs.reporting.screen import make_screen

    screen = make_screen()
    if shape == "json":
        screen.out(json.dumps(strict(figures), indent=2), highlight=False)
    else:
        screen.print(for_people(figures))


if __name__ == "__main__":
    main()
