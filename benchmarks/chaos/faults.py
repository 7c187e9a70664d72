"""What is killed, in which order and when: all drawn from one seeded generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.chaos.log import Start

Kind = Literal["training", "saving", "loading", "starting", "hung", "node", "cluster", "byte"]

SHARES: dict[Kind, float] = {
    "training": 0.28,
    "saving": 0.10,
    "loading": 0.10,
    "starting": 0.08,
    "hung": 0.10,
    "node": 0.14,
    "cluster": 0.10,
    "byte": 0.10,
}
"""Of all kills. Each kind comes at least once if there are as many kills as kinds."""

WORDS: dict[Kind, str] = {
    "training": "SIGKILL of a worker's process in a slice",
    "saving": "the same while it saves",
    "loading": "the same while it loads",
    "starting": "the same while it starts",
    "hung": "SIGSTOP of a worker's process: it hangs",
    "node": "SIGKILL of a node; it comes back",
    "cluster": "SIGKILL of the driver and all nodes; resumed on new ones",
    "byte": "a byte changed in a trial's newest checkpoint",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A kill to come, ``gap_s`` after the one before."""

    kind: Kind
    gap_s: float


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill as it happened. ``line`` counts the events that were in the log."""

    kind: Kind
    at_s: float
    line: int
    workers: tuple[str, ...]
    under_way: tuple[Start, ...]
    """Slices under way on these workers."""
    detail: str = ""


def plan(
    kills: int, every_s: float, draw: np.random.Generator, kinds: Sequence[Kind] = tuple(SHARES)
) -> list[Planned]:
    """So many kills, of each kind its share, in a random order.

    A process starts because another one was killed: "starting" follows "training" at once.
    """
    counts = _counts(kills, {kind: SHARES[kind] for kind in kinds})
    kept: list[Kind] = [k for k, count in counts.items() if k != "starting" for _ in range(count)]
    order: list[Kind] = [kept[index] for index in draw.permutation(len(kept))]
    spots = [index for index, kind in enumerate(order) if kind == "training"]
    mixed = [spots[index] for index in draw.permutation(len(spots))]
    for index in sorted(mixed[: counts.get("starting", 0)], reverse=True):
        order.insert(index + 1, "starting")
    return [
        Planned(kind, 0.0 if kind == "starting" else every_s * float(draw.uniform(0.5, 1.5)))
        for kind in order
    ]


def _counts(kills: int, shares: dict[Kind, float]) -> dict[Kind, int]:
    """Shares of ``kills`` by largest remainder, each at least 1 if there are enough kills."""
    least = int(kills >= len(shares))
    whole = sum(shares.values())
    over = {kind: max(0.0, share / whole * kills - least) for kind, share in shares.items()}
    spare = kills - least * len(shares)
    wanted = {kind: value * spare / (sum(over.values()) or 1.0) for kind, value in over.items()}
    counts = {kind: least + int(want) for kind, want in wanted.items()}
    by_rest = sorted(shares, key=lambda kind: wanted[kind] - int(wanted[kind]), reverse=True)
    for kind in by_rest[: kills - sum(counts.values())]:
        counts[kind] += 1
    excess = counts.get("starting", 0) - counts.get("training", 0)
    if excess > 0:  # each follows a kill of its own
        counts["starting"] -= excess
        counts["training"] = counts.get("training", 0) + excess
    return counts
