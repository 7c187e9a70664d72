"""Numbers and devices in words, the same on the console and in files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hrfs.experiment.plan import Plan
from hrfs.experiment.records import WorkerInfo

GROUP_FROM = 8
"""More workers than this are told by kind instead of one by one."""


def clock(seconds: float | None) -> str:
    """``0:42``, ``1:02:03``; ``?`` for None."""
    if seconds is None:
        return "?"
    whole = round(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def number(value: Any, digits: int = 4) -> str:
    """A value in few characters; ``-`` for None."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.{digits}g}" if math.isfinite(value) else str(value)
    return str(value)


def share(value: float | None) -> str:
    """``91 %``; ``-`` for None."""
    return "-" if value is None else f"{100 * value:.0f} %"


def count(amount: float, thing: str) -> str:
    """``1 CPU``, ``2 CPUs``, ``0.5 GPU``."""
    return f"{amount:g} {thing}{'s' if amount > 1 else ''}"


def ending(name: str, width: int) -> str:
    """The end of a name, where workers' names differ, in at most ``width`` characters."""
    return name if len(name) <= width else "…" + name[1 - width :]


def is_emulated(plan: Plan) -> bool:
    """Whether the plan's cluster says of itself that it is emulated."""
    return str(plan.labels.get("cluster", "")).startswith("emulated")


def headline(plan: Plan) -> str:
    """``resnet18 on cifar10, scheduler hrfs_paper``, as far as the labels say."""
    labels = plan.labels
    what = " on ".join(str(labels[key]) for key in ("model", "dataset") if key in labels)
    parts = [what] if what else []
    parts += [f"{key} {labels[key]}" for key in ("scheduler", "cluster") if key in labels]
    return ", ".join(parts)


def goal(plan: Plan) -> str:
    """Population and stop in one line."""
    several = len(plan.seeds)
    size = plan.trials // several
    parts = [
        f"population {size}" if several == 1 else f"{several} populations of {size}",
        f"{plan.stop_iterations} iterations each",
        f"interval {plan.interval_iterations}",
        f"{plan.metric} ({plan.mode})",
    ]
    if plan.target_score is not None:
        parts.append(f"target {plan.target_score:g}")
    return ", ".join([*parts, seeds(plan.seeds)])


def seeds(several: Sequence[int]) -> str:
    """``seed 0``, or ``seeds 0, 1, 2`` of as many populations."""
    listed = ", ".join(map(str, several))
    return f"seed {listed}" if len(several) == 1 else f"seeds {listed}"


def device(worker: WorkerInfo, on_emulated_cluster: bool) -> str:
    """``gpu:A100, 1 CPU, 1 GPU``; an emulated one says so and how much slower it is."""
    parts = [worker.kind, count(worker.cpus, "CPU")]
    if worker.gpus:
        parts.append(count(worker.gpus, "GPU"))
    if worker.slowdown != 1.0:
        parts.append(f"emulated, x{worker.slowdown:g} slower")
    elif on_emulated_cluster:
        parts.append("emulated, full speed")
    return ", ".join(parts)


def describe_workers(workers: Sequence[WorkerInfo], on_emulated_cluster: bool) -> list[str]:
    """A line for each worker, or for each kind on each node where there are many."""
    if len(workers) <= GROUP_FROM:
        width = max((len(worker.name) for worker in workers), default=0)
        return [
            f"{w.name:<{width}}  {device(w, on_emulated_cluster)}, on {w.node}" for w in workers
        ]
    groups: dict[str, int] = {}
    for worker in workers:
        line = f"{device(worker, on_emulated_cluster)}, on {worker.node}"
        groups[line] = groups.get(line, 0) + 1
    width = max(len(str(many)) for many in groups.values())
    return [f"{many:>{width}} x {line}" for line, many in groups.items()]
