"""Specs of simulated clusters: a population, its machines, and how long everything takes.

Each field's range stands in its annotation, and is checked where a spec is read
(:mod:`hrfs.simulator.reading`); a :class:`Workload` built in Python is taken at its word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt, MinLen

from hrfs.core.populations import Populations

Name = Annotated[str, MinLen(1)]
Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Seed = Annotated[int, Ge(0)]
STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""Pydantic's settings: no unknown keys, no text or truth value as a number, no NaN."""


@dataclass(frozen=True, slots=True)
class SimulatedWorker:
    """A worker of known speed; times are seconds since the start of the run."""

    __pydantic_config__: ClassVar = STRICT

    name: Name
    seconds_per_iteration: Positive
    slice_overhead_s: NotNegative = 0.0
    """Paid once per slice, before its iterations."""
    kind: str = ""
    """Workers of one kind are expected to be about equally fast; of none, nothing is."""
    joins_at_s: NotNegative = 0.0
    leaves_at_s: Positive | None = None
    """None stays. A slice under way then is lost, and done again elsewhere."""
    fails_probability: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Of each slice; it fails at a uniformly random moment of its duration."""
    speed_changes: tuple[tuple[NotNegative, Positive], ...] = ()
    """``(at_s, factor)``, ascending: from ``at_s`` on an iteration takes ``factor`` times
    ``seconds_per_iteration``. A slice under way changes its pace in the middle."""
    link_bytes_per_s: Positive | None = None
    """Bandwidth of the worker's link; None has the workload's."""


@dataclass(frozen=True, slots=True)
class Link:
    """The bandwidth between two workers, both ways, where it is not that of the slower link."""

    __pydantic_config__: ClassVar = STRICT

    between: tuple[Name, Name]
    bytes_per_s: Positive


@dataclass(frozen=True, slots=True)
class LearningRate:
    """A hyperparameter that each trial draws log-uniformly and population-based training varies.

    At ``best`` a trial learns at full speed, ``half_width_decades`` powers of ten away from it
    at half of that.
    """

    __pydantic_config__: ClassVar = STRICT

    low: Positive
    high: Positive
    best: Positive
    half_width_decades: Positive = 1.0


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """How the score of a trial, of which more is better, rises from ``start`` to its ceiling.

    Of trial t: ``n`` iterations halve its distance to ``ceilings[t mod len]`` where ``n`` is
    ``half_lives_iterations[t mod len]``, at the best learning rate. Both count as its
    hyperparameters, so a trial that takes over another has that one's from then on.
    """

    __pydantic_config__: ClassVar = STRICT

    half_lives_iterations: Annotated[tuple[Positive, ...], MinLen(1)]
    start: float = 0.0
    ceilings: Annotated[tuple[float, ...], MinLen(1)] = (1.0,)
    noise: NotNegative = 0.0
    """Standard deviation of a measured score around the true one."""
    learning_rate: LearningRate | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """One population or several, and a cluster.

    ``trials`` are those of each population. Trials are numbered through, those of the first
    population first, and all populations share the workers.

    Slice number n (in order of start, from 0) of trial t, k iterations on worker w, lasts::

        slice_overhead_s(w) + k * seconds_per_iteration(w) * duration_factors[n mod len]
                                * work_factor[t] * kind_factors[kind(w)][t]

    plus, if the trial's weights are on another worker, ``migration_s``, or ``checkpoint_bytes``
    over the bandwidth between the two. ``noise_sigma`` puts ``exp(noise_sigma * z)`` in place
    of the duration factor, z standard normal (median 1): a function of the seed and of n alone.
    """

    __pydantic_config__: ClassVar = STRICT

    trials: Count
    stop_iteration: Count
    interval: Count
    workers: Annotated[tuple[SimulatedWorker, ...], MinLen(1)]
    migration_s: NotNegative = 0.0
    duration_factors: Annotated[tuple[Positive, ...], MinLen(1)] = (1.0,)
    seed: Seed = 0
    """Of what happens to the cluster (noise and failures), and of the population if it is one."""
    seeds: Annotated[tuple[Seed, ...], MinLen(1)] | None = None
    """One population for each, in place of that of ``seed``."""
    noise_sigma: Annotated[float, Ge(0), Le(10)] = 0.0
    work_factor: tuple[Positive, ...] | None = None
    """One per trial of a population, or of all populations; None is 1 for all."""
    kind_factors: Mapping[str, tuple[Positive, ...]] = field(default_factory=dict)
    """By kind of worker, as many; a kind that is not listed has 1 for all."""
    checkpoint_bytes: NotNegative | None = None
    link_bytes_per_s: Positive | None = None
    links: tuple[Link, ...] = ()
    curve: LearningCurve | None = None
    target_score: float | None = None
    stop_on_target: bool = False

    @property
    def populations(self) -> Populations:
        """Which trial belongs to which seed."""
        return Populations((self.seed,) if self.seeds is None else self.seeds, self.trials)

    @property
    def all_trials(self) -> int:
        """Trials of all populations together."""
        return self.trials * (1 if self.seeds is None else len(self.seeds))

    def by_trial(self, factors: Sequence[float]) -> tuple[float, ...]:
        """Factors of all trials, given those of one population's trials or of all."""
        return tuple(factors) * (self.all_trials // len(factors))

    @classmethod
    def from_mapping(cls, plain: Mapping[str, Any]) -> Workload:
        """Check and build from parsed JSON.

        Raises:
            ConfigError: the first rule that does not hold.
        """
        from hrfs.simulator.reading import workload_from_mapping  # which imports this module

        return workload_from_mapping(plain)

    @classmethod
    def read(cls, path: Path) -> Workload:
        """Read a JSON spec.

        Raises:
            ConfigError: the file cannot be read, or the first rule that does not hold.
        """
        from hrfs.simulator.reading import read_workload  # which imports this module

        return read_workload(path)
