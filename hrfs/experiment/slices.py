"""What the cluster asks of whoever trains: the border between dispatch and training.

The dispatching layer (Ray Tune) and the training layer (Lightning) never import each other;
they meet in these types. A :class:`SliceRunner` lives in a worker's process and outlasts the
trials that pass through it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hrfs.experiment.records import WorkerInfo


@dataclass(frozen=True, slots=True)
class SliceRequest:
    """Advance ``trial`` by ``iterations`` optimizer steps on ``worker``, then evaluate it.

    ``trial`` counts through all populations of the run, see
    :class:`~hrfs.core.populations.Populations`.
    """

    slice: int
    trial: int
    from_iteration: int
    iterations: int
    worker: WorkerInfo
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, fit for a Ray Tune trial config."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> SliceRequest:
        """Inverse of :meth:`to_dict`."""
        values = dict(plain)
        values["worker"] = WorkerInfo(**values["worker"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class SliceResult:
    """What a slice brought: metrics by name and where its seconds went."""

    metrics: Mapping[str, float]
    train_s: float
    evaluate_s: float
    diverged: bool = False
    """True if a loss or a weight became NaN or infinite: the trial then ranks last."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What is to be written down of the worker, as plain values: how it trains, on what."""


class SliceRunner(Protocol):
    """Holds the weights of one trial at a time and trains them slice by slice.

    Called from one thread. ``begin`` or ``load`` is called before the first ``run`` of a
    trial; the same trial may then run several slices. What ``run`` does may depend only on the
    loaded state, on the request and on the settings that the runner was built with, never on
    the process's history, so that a trial may move between workers.
    """

    def begin(self, trial: int) -> None:
        """Make fresh weights for ``trial``, a function of its population's seed and of its
        number within that population alone.
        """

    def load(self, file: Path) -> None:
        """Take up the state that some runner's :meth:`save` wrote to ``file``."""

    def run(self, request: SliceRequest) -> SliceResult:
        """Train exactly ``request.iterations`` steps, then evaluate."""

    def save(self, file: Path) -> None:
        """Write the present state to ``file``, atomically."""


PlaceForState = Callable[[], Path | None]
"""Asked once, when a slice is trained: the file for its state; None if it cannot be had yet."""


@runtime_checkable
class EarlySaver(Protocol):
    """A :class:`SliceRunner` that can write a trial's state while it evaluates it."""

    def save_early(self, place: PlaceForState) -> None:
        """Let the next :meth:`SliceRunner.run` begin to write to what ``place`` gives.

        ``save`` to that file, called after it, must see to it that the present state is there
        and safe. Should the slice fail, nothing is left of the file.
        """


RunnerFactory = Callable[[Mapping[str, Any]], SliceRunner]
"""Builds a runner in the worker's process from plain settings."""


def resolve_name(dotted: str) -> Any:
    """Import ``package.module:name`` and return what it names.

    A name travels to the workers instead of the function, so that the driver need not import
    torch.

    Raises:
        ValueError: ``dotted`` has no colon.
        ImportError, AttributeError: there is no such module or name.
    """
    module = module_of(dotted)
    return getattr(importlib.import_module(module), dotted[len(module) + 1 :])


def module_of(dotted: str) -> str:
    """The module in ``package.module:name``.

    Raises:
        ValueError: ``dotted`` has no colon.
    """
    module, colon, _ = dotted.partition(":")
    if not colon:
        raise ValueError(f"{dotted!r} must have the form 'package.module:name'")
    return module


def resolve_factory(dotted: str) -> RunnerFactory:
    """The runner factory of that name. Raises as :func:`resolve_name` does."""
    factory: RunnerFactory = resolve_name(dotted)
    return factory
