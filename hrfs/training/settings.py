"""What a configuration says about training, checked; imports no torch."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hrfs.core.populations import Populations
from hrfs.experiment.errors import ConfigError
from hrfs.training.lr_shapes import CONSTANT, LR_SCHEDULES, LrShape

PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
AUTO = "auto"
"""Left to a measurement on each worker, see :mod:`hrfs.training.probe`."""
CHOOSABLE = ("precision", "channels_last", "compile")
"""What may be left to it."""
EXACT: Mapping[str, Any] = {"precision": "32-true", "channels_last": True, "compile": False}
"""What is ``auto`` begins as, and the winner is tested by."""
_Settings = TypeVar("_Settings")


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """How slices are trained (``conf/trainer``)."""

    precision: str = "32-true"
    """Lightning's name of the number format; ``auto``: each worker's fastest."""
    channels_last: bool | Literal["auto"] = True
    """Memory order of images and weights; the faster one on CPU and on GPU."""
    validation_samples: int | None = None
    """Size of a fixed, seeded subset of the validation split; None evaluates all of it."""
    threads: int | Literal["auto"] = "auto"
    """Torch threads of a worker's process; ``auto``: the CPUs of the worker's bundle."""
    lr_schedule: str = CONSTANT
    """Shape of the learning rate over ``population.stop_iterations``, whose peak is a trial's
    ``lr``: ``constant``, ``cosine`` or ``one_cycle``."""
    warmup_fraction: float = 0.2
    """Part of it, at least 0 and below 1, in which the rate of ``one_cycle`` rises."""
    compile: bool | str = False
    """Whether ``torch.compile`` makes the training step; or one of its modes, or ``auto``."""

    def __post_init__(self) -> None:
        if self.precision not in (*PRECISIONS, AUTO):
            raise ConfigError(
                "trainer.precision",
                self.precision,
                f"must be one of {', '.join(PRECISIONS)}, or {AUTO}",
            )
        if self.channels_last != AUTO:
            require_type("trainer.channels_last", self.channels_last, bool, or_else=AUTO)
        if not isinstance(self.compile, bool) and self.compile not in (*COMPILE_MODES, AUTO):
            rule = f"must be true, false, {AUTO}, or one of {', '.join(COMPILE_MODES)}"
            raise ConfigError("trainer.compile", self.compile, rule)
        if self.validation_samples is not None:
            require_at_least("trainer.validation_samples", self.validation_samples, 1)
        if self.threads != "auto":
            require_at_least("trainer.threads", self.threads, 1, or_else="auto")
        if self.lr_schedule not in LR_SCHEDULES:
            raise ConfigError(
                "trainer.lr_schedule",
                self.lr_schedule,
                f"must be one of {', '.join(LR_SCHEDULES)}",
            )
        warmup = self.warmup_fraction
        if isinstance(warmup, bool) or not isinstance(warmup, int | float) or not 0 <= warmup < 1:
            rule = "must be a number from 0 on and below 1"
            raise ConfigError("trainer.warmup_fraction", warmup, rule)

    @property
    def undecided(self) -> tuple[str, ...]:
        """Names of the settings that are ``auto``."""
        return tuple(name for name in CHOOSABLE if getattr(self, name) == AUTO)

    @property
    def choice(self) -> dict[str, Any]:
        """What a worker trains by, of what may be chosen."""
        return {name: getattr(self, name) for name in CHOOSABLE}

    def decided(self, choice: Mapping[str, Any]) -> TrainerSettings:
        """The same with ``choice`` for what is ``auto``; what was set stays.

        Raises:
            ConfigError: a value of ``choice`` cannot be, or is missing.
        """
        values = {name: choice.get(name, AUTO) for name in self.undecided}
        decided = dataclasses.replace(self, **values)
        if decided.undecided:
            rule = "what was chosen before does not say it"
            raise ConfigError(f"trainer.{decided.undecided[0]}", AUTO, rule)
        return decided


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """All that a runner is built from: plain data that travels to the workers."""

    model: Mapping[str, Any]
    """``_target_`` of a LightningModule and the arguments of its constructor."""
    dataset: Mapping[str, Any]
    """``_target_`` of a LightningDataModule and the arguments of its constructor."""
    trainer: TrainerSettings
    populations: Populations
    """Which trial belongs to which seed."""
    allowed_targets: tuple[str, ...]
    lr_shape: LrShape | None = None
    """By what a trial's ``lr`` is multiplied in each iteration; None: by nothing."""
    chosen: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """What an earlier driver of the run was told by its workers, by their names: ``trainer``, what
    each chose for what is ``auto``, and ``probe``, by what."""

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> RunnerSettings:
        """Check and convert ``{"model", "dataset", "trainer", "seed", "allowed_targets"}``.

        In place of ``seed`` may stand ``seeds`` and ``population_size``, of several populations
        whose trials are numbered through. ``stop_iterations`` is needed where ``trainer`` has an
        ``lr_schedule`` other than ``constant``.

        Raises:
            ConfigError: a part is missing or has a value that cannot be.
        """
        for group in ("model", "dataset"):
            if not isinstance(plain.get(group), Mapping) or "_target_" not in plain[group]:
                raise ConfigError(f"{group}._target_", None, "must name a class")
        trainer = from_mapping(TrainerSettings, plain.get("trainer", {}), "trainer")
        return cls(
            model=dict(plain["model"]),
            dataset=dict(plain["dataset"]),
            trainer=trainer,
            populations=_populations(plain),
            allowed_targets=tuple(plain.get("allowed_targets", ())),
            lr_shape=_lr_shape(trainer, plain.get("stop_iterations")),
            chosen=dict(plain.get("chosen", {})),
        )


def _lr_shape(trainer: TrainerSettings, stop_iterations: Any) -> LrShape | None:
    if trainer.lr_schedule == CONSTANT:
        return None
    require_at_least("population.stop_iterations", stop_iterations, 1)
    return LrShape(trainer.lr_schedule, stop_iterations, trainer.warmup_fraction)


def _populations(plain: Mapping[str, Any]) -> Populations:
    if "seeds" not in plain:
        seed = plain.get("seed", 0)
        require_at_least("seed", seed, 0)
        return Populations((seed,))
    size = plain.get("population_size")
    require_at_least("population_size", size, 1)
    for seed in plain["seeds"]:
        require_at_least("seeds", seed, 0)
    try:
        return Populations(tuple(plain["seeds"]), size)
    except ValueError as error:
        raise ConfigError("seeds", list(plain["seeds"]), str(error)) from error


def from_mapping(cls: type[_Settings], plain: Mapping[str, Any], group: str) -> _Settings:
    """``cls(**plain)``, refusing keys that ``cls`` does not have.

    Raises:
        ConfigError: an unknown key, with the nearest known one.
    """
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for name, value in plain.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{group}.{name}", value, "there is no such key", remedy)
    return cls(**plain)


def require_type(key: str, value: Any, kind: type[Any], or_else: str = "") -> None:
    """Raise :class:`ConfigError` unless ``value`` is a ``kind`` (a bool is no int)."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        other = f" or {or_else}" if or_else else ""
        raise ConfigError(key, value, f"must be {_TYPE_NAMES[kind]}{other}")


def require_at_least(key: str, value: Any, least: int, or_else: str = "") -> None:
    """Raise :class:`ConfigError` unless ``value`` is an int >= ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        other = f" or {or_else}" if or_else else ""
        raise ConfigError(key, value, f"must be a whole number >= {least}{other}")


_TYPE_NAMES: dict[type[Any], str] = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
}
