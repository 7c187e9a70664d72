"""Choosing how a worker trains by how long its steps take.

Settings of the trainer that are ``auto`` are tried one after another upon the best so far. A
change is taken if a step is faster by :data:`MARGIN` at least: what is faster by less may be
slower the next time, and 32 bit in eager mode is exact on every worker.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from hrfs.training.capabilities import cannot_compile, precisions_of
from hrfs.training.settings import EXACT, TrainerSettings

MARGIN = 1.1
"""How many times as fast a step must be for a change to be taken."""
SLOW_IN_BF16 = ("NO AVX", "AVX2")
"""Instruction sets, as torch calls them, that compute bfloat16 piece by piece: a trial of it would
take several times as long as the rest of the probe."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One way to train, and the seconds of a step; None if it ``failed``, and why."""

    choice: Mapping[str, Any]
    step_s: float | None
    failed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For files."""
        told = {"failed": self.failed} if self.failed else {"step_s": self.step_s}
        return {**self.choice, **told}


def changes_for(device: torch.device) -> list[dict[str, Any]]:
    """What is worth a trial on ``device``, in the order in which it is tried."""
    changes: list[dict[str, Any]] = [{"channels_last": False}]
    if device.type != "cpu" or torch.backends.cpu.get_cpu_capability() not in SLOW_IN_BF16:
        half = "bf16-mixed" if "bf16-mixed" in precisions_of(device) else "16-mixed"
        changes.append({"precision": half})
    if not cannot_compile(device):
        changes.append({"compile": "default"})
        if device.type == "cuda":
            changes.append({"compile": "reduce-overhead"})
    return changes


def choose(
    asked: TrainerSettings,
    changes: Iterable[Mapping[str, Any]],
    step_s: Callable[[TrainerSettings], float],
) -> tuple[TrainerSettings, list[Tried]]:
    """The settings to train by, and all that was tried, in order.

    Args:
        asked: some of its settings are ``auto``; the others stay as they are.
        changes: each of one setting; those of settings that are not ``auto`` are passed over.
        step_s: measures the seconds of a step.

    Raises:
        Exception: what ``step_s`` raises before any change. A RuntimeError under a change
            (torch's, of a compiler or for want of memory) means that the change cannot be had.
    """
    best = asked.decided(EXACT)
    best_s = step_s(best)
    tried = [Tried(best.choice, best_s)]
    for change in changes:
        if not set(change) <= set(asked.undecided):
            continue
        candidate = dataclasses.replace(best, **change)
        try:
            seconds = step_s(candidate)
        except RuntimeError as error:
            why = str(error).strip().splitlines()
            tried.append(Tried(candidate.choice, None, why[0] if why else type(error).__name__))
            continue
        tried.append(Tried(candidate.choice, seconds))
        if seconds * MARGIN <= best_s:
            best, best_s = candidate, seconds
    return best, tried
