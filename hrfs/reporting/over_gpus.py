"""What the other workers brought over the GPUs alone, and what they could bring."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hrfs.experiment.records import SliceRecord
from hrfs.reporting.costs import Factor, measured_costs
from hrfs.reporting.figures import measured_speeds, window_s
from hrfs.reporting.words import number


@dataclass(frozen=True, slots=True)
class OverGpus:
    """A run against its GPUs alone, at their measured speeds and scheduled perfectly."""

    gpu_only_bound_s: float
    """C* of the same work on the GPUs alone, in seconds."""
    speedup: float
    """``gpu_only_bound_s`` / makespan. A real run on the GPUs alone is slower than C*."""
    ceiling: float
    """Sum of all speeds / sum of the GPUs' speeds: the speed-up if no worker ever idled."""


def over_gpus(
    records: Sequence[SliceRecord],
    kind_of: Callable[[SliceRecord], str] = lambda record: record.worker_kind,
    factor: Factor | None = None,
) -> OverGpus | None:
    """The speed-up over the GPUs alone; None without a GPU or without any other worker.

    A worker is a GPU if its kind begins with ``gpu``, emulated or not. ``factor`` is that of
    :func:`hrfs.reporting.costs.measured_costs`.
    """
    kinds = {record.worker: kind_of(record) for record in records}
    speeds = measured_speeds(records)
    gpus = {name for name in speeds if kinds[name].startswith("gpu")}
    if not gpus or len(gpus) == len(speeds):
        return None
    alone_s = measured_costs(records, factor).bound_s(gpus)
    begin_s, end_s = window_s(records)
    ceiling = math.fsum(speeds.values()) / math.fsum(speeds[name] for name in gpus)
    return OverGpus(alone_s, alone_s / (end_s - begin_s), ceiling)


def over_gpus_line(told: Mapping[str, float]) -> str:
    """An :class:`OverGpus`, as the summary holds it, in words."""
    return (
        f"{number(told['speedup'])} times as fast as the GPUs alone at their best "
        f"({number(told['gpu_only_bound_s'])} s), where all speeds / GPU speeds is "
        f"{number(told['ceiling'])}"
    )
