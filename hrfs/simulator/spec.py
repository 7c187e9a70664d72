"""Specs of simulated clusters: how long every slice takes, said beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SimulatedWorker:
    """A worker of known speed. ``slice_overhead_s`` is paid once per slice."""

    name: str
    seconds_per_iteration: float
    slice_overhead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Workload:
    """A population and a cluster.

    Slice number n (in order of start, from 0) lasts ``slice_overhead_s + k *
    seconds_per_iteration * duration_factors[n mod len]``, plus ``migration_s`` if its trial
    last ran elsewhere.
    """

    trials: int
    stop_iteration: int
    interval: int
    workers: tuple[SimulatedWorker, ...]
    migration_s: float = 0.0
    duration_factors: tuple[float, ...] = (1.0,)

    @classmethod
    def from_mapping(cls, plain: Mapping[str, Any]) -> Workload:
        """Build from parsed JSON.

        Raises:
            TypeError, KeyError: a key is missing or unknown.
        """
        values = dict(plain)
        values["workers"] = tuple(SimulatedWorker(**worker) for worker in values["workers"])
        if "duration_factors" in values:
            values["duration_factors"] = tuple(values["duration_factors"])
        return cls(**values)

    @classmethod
    def read(cls, path: Path) -> Workload:
        """Read a JSON spec. Raises OSError, ValueError, TypeError or KeyError."""
        return cls.from_mapping(json.loads(path.read_text()))
