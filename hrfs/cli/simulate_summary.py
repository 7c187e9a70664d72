"""What a simulation came to: its figures, as plain values and as tables for people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hrfs.reporting import figures
from hrfs.reporting.over_gpus import over_gpus, over_gpus_line
from hrfs.reporting.spread import spread
from hrfs.reporting.words import number, share
from hrfs.simulator.bound import clairvoyant_bound_s, cost_factor
from hrfs.simulator.result import Simulation
from hrfs.simulator.spec import SimulatedWorker, Workload

LISTED_WORKERS = 40
"""More workers than this are told by kind instead of one by one."""


def summarise(workload: Workload, simulation: Simulation) -> dict[str, Any]:
    """The figures. Seconds are virtual; what could not be measured is None.

    Of several populations, ``populations`` says of each how it went; all else is about all of
    them. ``bound_s`` is C* at the spec's speeds, from the first start on, and ``ratio`` makespan /
    C*; ``measured_bound_s`` and ``measured_ratio`` are the same at the speeds that the slices
    showed, overhead and noise included. ``utilisation`` is the share of its presence for which
    finished slices held a worker.
    """
    records = simulation.records
    done = figures.iterations_by_trial(records)
    iterations = [done.get(trial, 0) for trial in range(workload.all_trials)]
    bound_s = _finite(clairvoyant_bound_s(workload, iterations) - simulation.begin_s)
    factor = cost_factor(workload)
    measured_s = figures.bound_s(records, factor)
    gained = over_gpus(records, factor=factor)
    apart = spread(records, workload.all_trials)
    workers = _workers(workload, simulation)
    present_s = sum(worker["present_s"] for worker in workers)
    scores = [record.score for record in records if record.score is not None]
    return {
        "trials": workload.all_trials,
        "seed": workload.seed,
        "seeds": list(workload.populations.seeds),
        "makespan_s": simulation.makespan_s,
        "bound_s": bound_s,
        "ratio": simulation.makespan_s / bound_s if bound_s else None,
        "measured_bound_s": measured_s,
        "measured_ratio": simulation.makespan_s / measured_s if measured_s else None,
        "over_gpus": asdict(gained) if gained else None,
        "utilisation": sum(worker["busy_s"] for worker in workers) / present_s,
        "mean_spread_iterations": apart.mean_iterations if apart else None,
        "largest_spread_iterations": apart.largest_iterations if apart else None,
        "mean_staleness_iterations": apart.mean_staleness_iterations if apart else None,
        "slices": len(records),
        "iterations": sum(iterations),
        "migrations": figures.migrations(records),
        "failures": len(simulation.failures),
        "lost_s": sum(simulation.lost_s.values()),
        "exploits": len(simulation.exploits),
        "best_score": max(scores, default=None),
        "time_to_target_s": figures.time_to_target_s(records, workload.target_score, "max"),
        "retired": list(simulation.retired),
        "workers": workers,
        **_populations(workload, simulation),
    }


def size(populations: int, all_trials: int, workers: int) -> str:
    """``8 trials on 4 workers``, or ``3 x 8 trials`` of as many populations."""
    several = f"{populations} x " if populations > 1 else ""
    return f"{several}{all_trials // populations} trials on {workers} workers"


def _populations(workload: Workload, simulation: Simulation) -> dict[str, Any]:
    """One object per population, named and meant as in a real run's ``summary.json``."""
    populations = workload.populations
    if len(populations) == 1:
        return {}
    told = [
        _population(workload, simulation, populations.members(number), seed)
        for number, seed in enumerate(populations.seeds)
    ]
    return {"populations": told}


def _population(
    workload: Workload, simulation: Simulation, members: range, seed: int
) -> dict[str, Any]:
    records = [record for record in simulation.records if record.trial in members]
    begin_s, end_s = figures.window_s(records) if records else (0.0, 0.0)
    scores = [record.score for record in records if record.score is not None]
    return {
        "seed": seed,
        "trials": [members[0], members[-1]],
        "best_score": max(scores, default=None),
        "makespan_s": end_s - begin_s if records else None,
        "time_to_target_s": figures.time_to_target_s(records, workload.target_score, "max"),
        "worker_s": math.fsum(figures.busy_seconds(records).values()),
        "iterations": sum(record.iterations for record in records),
        "exploits": sum(exploit.trial in members for exploit in simulation.exploits),
    }


def _finite(seconds: float) -> float | None:
    """None where a lucky draw alone finished the work before the workers that do it had left."""
    return seconds if math.isfinite(seconds) else None


def _workers(workload: Workload, simulation: Simulation) -> list[dict[str, Any]]:
    busy_s = figures.busy_seconds(simulation.records)
    iterations = figures.iterations_by_worker(simulation.records)
    slices = Counter(record.worker for record in simulation.records)
    rows = []
    for worker in workload.workers:
        name, present_s = worker.name, _present_s(worker, simulation)
        held_s = busy_s.get(name, 0.0)
        rows.append(
            {
                "name": name,
                "kind": worker.kind,
                "slices": slices[name],
                "iterations": iterations.get(name, 0),
                "busy_s": held_s,
                "lost_s": simulation.lost_s.get(name, 0.0),
                "present_s": present_s,
                "utilisation": held_s / present_s if present_s else None,
                "retired": name in simulation.retired,
            }
        )
    return rows


def _present_s(worker: SimulatedWorker, simulation: Simulation) -> float:
    """Seconds for which the worker was there, from the first start to the last end."""
    leaves_s = simulation.end_s if worker.leaves_at_s is None else worker.leaves_at_s
    until_s = min(leaves_s, simulation.end_s)
    return max(0.0, until_s - max(worker.joins_at_s, simulation.begin_s))


def tables(title: str, summary: Mapping[str, Any]) -> RenderableType:
    """The figures for people; many workers are told by kind."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in _lines(summary).items():
        grid.add_row(name, Text(text))
    workers = summary["workers"]
    listed = _by_worker(workers) if len(workers) <= LISTED_WORKERS else _by_kind(workers)
    parts: list[RenderableType] = [Text(title), grid, Text(), listed]
    if "populations" in summary:
        parts += [Text(), _by_population(summary["populations"])]
    return Group(*parts)


def _lines(summary: Mapping[str, Any]) -> dict[str, str]:
    value = {name: number(item) for name, item in summary.items() if not isinstance(item, list)}
    lines = {
        "makespan": f"{value['makespan_s']} s",
        "C*": f"{value['bound_s']} s at the spec's speeds, "
        f"{value['measured_bound_s']} s at those measured",
        "ratio": f"{value['ratio']} to the former, {value['measured_ratio']} to the latter",
        "utilisation": f"{share(summary['utilisation'])} of all workers together",
        "spread": f"{value['mean_spread_iterations']} iterations on average, "
        f"{value['largest_spread_iterations']} at most",
        "staleness": f"{value['mean_staleness_iterations']} iterations on average",
        "slices": f"{value['slices']}, of {value['iterations']} iterations",
        "migrations": value["migrations"],
        "retired": ", ".join(summary["retired"][:LISTED_WORKERS]) or "none",
    }
    if len(summary["retired"]) > LISTED_WORKERS:
        lines["retired"] = f"{len(summary['retired'])} workers"
    if summary["over_gpus"]:
        lines["over GPUs"] = over_gpus_line(summary["over_gpus"])
    if summary["failures"]:
        lines["failures"] = f"{value['failures']}, which cost {value['lost_s']} s of work"
    if summary["best_score"] is not None:
        lines["scores"] = f"best {value['best_score']}; {value['exploits']} exploits"
    if summary["time_to_target_s"] is not None:
        lines["target"] = f"reached after {value['time_to_target_s']} s"
    return lines


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < 2 else "right", overflow="fold")
    return table


def _by_worker(workers: list[dict[str, Any]]) -> Table:
    table = _table("worker", "kind", "utilisation", "slices", "iterations", "busy s")
    for worker in workers:
        table.add_row(
            Text(worker["name"]),
            Text(worker["kind"] or "-"),
            share(worker["utilisation"]),
            str(worker["slices"]),
            str(worker["iterations"]),
            number(worker["busy_s"]),
        )
    return table


def _by_kind(workers: list[dict[str, Any]]) -> Table:
    table = _table("kind", "workers", "utilisation", "least", "most", "slices", "iterations")
    for kind in dict.fromkeys(worker["kind"] for worker in workers):
        mine = [worker for worker in workers if worker["kind"] == kind]
        shares = [worker["utilisation"] for worker in mine if worker["utilisation"] is not None]
        present_s = sum(worker["present_s"] for worker in mine)
        busy_s = sum(worker["busy_s"] for worker in mine)
        table.add_row(
            Text(kind or "-"),
            str(len(mine)),
            share(busy_s / present_s if present_s else None),
            share(min(shares, default=None)),
            share(max(shares, default=None)),
            str(sum(worker["slices"] for worker in mine)),
            str(sum(worker["iterations"] for worker in mine)),
        )
    return table


def _by_population(populations: list[dict[str, Any]]) -> Table:
    columns = ["population", "trials", "makespan s", "worker s", "iterations"]
    learning = any(told["best_score"] is not None for told in populations)
    table = _table(*columns, *(["best score", "to target s", "exploits"] if learning else []))
    for told in populations:
        first, last = told["trials"]
        cells = [f"seed {told['seed']}", f"{first} to {last}"]
        cells += [number(told[key]) for key in ("makespan_s", "worker_s", "iterations")]
        if learning:
            cells += [number(told[key]) for key in ("best_score", "time_to_target_s", "exploits")]
        table.add_row(*cells)
    return table
