"""The records that a run leaves behind, the same from the simulator and from a cluster.

Reports, benchmarks and the bound read these and nothing else. Times are seconds since the
start of the run on the driver's monotonic clock (virtual seconds in the simulator).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from hrfs.core.decisions import Exploit, RollBack

SLICE_COLUMNS = (
    "slice",
    "trial",
    "worker",
    "start_s",
    "end_s",
    "from_iteration",
    "to_iteration",
)
"""The first seven columns of ``slices.csv``, in this order, for ever."""


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """One finished slice: which trial advanced where, when and by how much.

    ``end_s - start_s`` is the whole time that the slice held its worker; the ``*_s`` parts
    say what it was spent on (``wait_s``: everything that is none of the other four). A part
    that was not measured is 0.
    """

    slice: int
    trial: int
    worker: str
    start_s: float
    end_s: float
    from_iteration: int
    to_iteration: int
    worker_kind: str = ""
    score: float | None = None
    """Value of the metric that ranks trials; None without an evaluation, NaN if it diverged."""
    reason: str = ""
    parent: int | None = None
    """Donor trial, if this slice began from an exploited checkpoint."""
    load_s: float = 0.0
    train_s: float = 0.0
    evaluate_s: float = 0.0
    save_s: float = 0.0
    wait_s: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def iterations(self) -> int:
        """Optimizer steps done in this slice."""
        return self.to_iteration - self.from_iteration

    @property
    def duration_s(self) -> float:
        """Seconds for which the slice held its worker."""
        return self.end_s - self.start_s

    @property
    def busy_s(self) -> float:
        """Seconds of work: the duration without waiting for a process to start, or for a turn."""
        return self.duration_s - self.wait_s


def iterations_reached(records: Iterable[SliceRecord]) -> dict[int, int]:
    """Where each trial with a finished slice is. One that fell back to an older checkpoint did
    more, but has no more to show.
    """
    ended = sorted(records, key=lambda record: (record.end_s, record.slice))
    return {record.trial: record.to_iteration for record in ended}


@dataclass(frozen=True, slots=True)
class SliceStart:
    """A slice that has been handed to its worker and is under way."""

    slice: int
    trial: int
    worker: str
    start_s: float
    from_iteration: int
    iterations: int
    reason: str
    hyperparameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExploitRecord:
    """At ``time_s`` trial ``trial`` took the donor's weights and explored around its values."""

    time_s: float
    trial: int
    donor: int
    iteration: int
    """Iteration of the exploiting trial, which an exploit does not change."""
    donor_iteration: int
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    operations: Mapping[str, str]
    """How each mutated value came about, e.g. ``{"lr": "x1.2", "momentum": "resampled"}``."""

    @classmethod
    def of(cls, exploit: Exploit, time_s: float) -> ExploitRecord:
        """The record of what the scheduling core decided."""
        return cls(
            time_s=time_s,
            trial=exploit.trial,
            donor=exploit.donor,
            iteration=exploit.iteration,
            donor_iteration=exploit.donor_iteration,
            before=exploit.before,
            after=exploit.after,
            operations=exploit.operations,
        )


FailureKind = Literal[
    "worker lost",
    "worker hung",
    "out of host memory",
    "out of GPU memory",
    "data loader",
    "checkpoint damaged",
    "storage",
    "configuration",
    "exception",
    "unknown",
]
"""Why a slice was lost, in a few words that can be counted.

``worker lost``: its process or node died or left. ``worker hung``: it was given up, though it
lives. ``data loader``: a process of a DataLoader died. ``storage``: a full disk, a quota, a
storage that cannot be read or written. ``exception``: anything else that was raised in training.
"""
FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """A slice that ended without a result. ``slice`` is None if no slice was under way."""

    time_s: float
    slice: int | None
    trial: int | None
    worker: str | None
    reason: str
    kind: FailureKind = "unknown"
    traceback: str = ""
    """As raised in the worker's process, without the frames that lead to the user's code."""


@dataclass(frozen=True, slots=True)
class RollbackRecord:
    """At ``time_s`` a trial went back to ``iteration``: a checkpoint could not be read."""

    time_s: float
    trial: int
    from_iteration: int
    iteration: int
    anew: bool
    """No older checkpoint was there: the trial begins anew."""
    donor: int | None
    """Donor of the weights that were lost, if the trial had not trained from them yet."""
    reason: str

    @classmethod
    def of(cls, decision: RollBack, time_s: float) -> RollbackRecord:
        """The record of what the scheduling core decided."""
        return cls(
            time_s=time_s,
            trial=decision.trial,
            from_iteration=decision.from_iteration,
            iteration=decision.iteration,
            anew=decision.checkpoint is None,
            donor=decision.donor,
            reason=decision.reason,
        )

    @property
    def lost_iterations(self) -> int:
        """Iterations that the trial has to do again."""
        return self.from_iteration - self.iteration

    def told(self) -> str:
        """One line for the log and the summary."""
        lost = f"{self.lost_iterations} iterations are lost"
        if self.anew:
            why = f"no older checkpoint is left, {lost}"
            return f"trial {self.trial} BEGINS ANEW, {why}: {self.reason}"
        if self.donor is not None:
            own = f"goes on from its own weights of iteration {self.iteration}"
            return f"trial {self.trial} {own} and not from trial {self.donor}'s: {self.reason}"
        where = f"from iteration {self.from_iteration} to {self.iteration}"
        return f"trial {self.trial} falls back {where}, {lost}: {self.reason}"


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker as the user sees it: a bundle of resources on one node.

    ``name`` is stable over restarts (host, kind and index), ``node`` the host's name.
    """

    name: str
    kind: str
    """``cpu`` or ``gpu``, followed by the model where it is known, e.g. ``gpu:A100``, and by the
    number of workers that share the GPU, if several do: ``gpu:A100/2``.
    """
    node: str
    cpus: float
    gpus: float = 0.0
    slowdown: float = 1.0
    """Factor by which an emulated worker stretches each iteration; 1 on real hardware."""

    @property
    def on_gpu(self) -> bool:
        """Whether a trial on this worker trains on a GPU (an emulated GPU has none)."""
        return self.gpus > 0
