"""A hyperparameter schedule: which values the weights of a winner were trained with, and when.

The file is one JSON object::

    {"kind": "hrfs.schedule", "format": 1,
     "metric": "val/acc", "score": 0.97, "seed": 0,
     "stretches": [
       {"from_iteration": 0, "to_iteration": 40, "trial": 2,
        "hyperparameters": {"lr": 0.1, "momentum": 0.9}},
       {"from_iteration": 40, "to_iteration": 100, "trial": 5,
        "hyperparameters": {"lr": 0.08, "momentum": 0.9}}]}

Iterations are optimizer steps of the weights that won, counted from their initialisation: where a
trial took over another's weights, those bring their own age. So the stretches follow one another
without a gap from 0, and one trial that trains by them takes the winner's steps again. ``trial`` is
the one that trained the stretch. ``metric``, ``score`` and ``seed`` say what won; each may be null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, MinLen

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically

KIND: Literal["hrfs.schedule"] = "hrfs.schedule"
FORMAT = 1
"""Raised whenever a key of the file changes its meaning."""
STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""Pydantic's settings: no unknown keys, no text or truth value as a number, no NaN."""
_KEY = "schedule"
_REMEDY = "give a winner_schedule.json that hrfs.report wrote"

Scalar = str | bool | int | float | None
Value = Scalar | list[Scalar]
"""What a hyperparameter may be."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps that were taken with one set of hyperparameters by one trial."""

    __pydantic_config__: ClassVar = STRICT

    from_iteration: Annotated[int, Ge(0)]
    to_iteration: Annotated[int, Ge(1)]
    trial: Annotated[int, Ge(0)]
    hyperparameters: dict[str, Value]

    @property
    def iterations(self) -> int:
        """Optimizer steps in the stretch."""
        return self.to_iteration - self.from_iteration


@dataclass(frozen=True, slots=True)
class Schedule:
    """Stretches without a gap from 0, and what won by them.

    Raises:
        ValueError: there is no stretch, one is empty, or they do not follow one another.
    """

    __pydantic_config__: ClassVar = STRICT

    stretches: Annotated[tuple[Stretch, ...], MinLen(1)]
    metric: str | None = None
    score: float | None = None
    """The winner's last."""
    seed: Annotated[int, Ge(0)] | None = None
    """That of its population."""

    def __post_init__(self) -> None:
        if not self.stretches:
            raise ValueError("stretches: there must be one at least")
        expected = 0
        for number, stretch in enumerate(self.stretches):
            if stretch.from_iteration != expected:
                raise ValueError(
                    f"stretches[{number}].from_iteration={stretch.from_iteration}: must be "
                    f"{expected}, where the stretch before ends"
                )
            if stretch.iterations < 1:
                raise ValueError(
                    f"stretches[{number}].to_iteration={stretch.to_iteration}: must be above its "
                    f"from_iteration={stretch.from_iteration}"
                )
            expected = stretch.to_iteration

    @property
    def iterations(self) -> int:
        """Optimizer steps of the whole schedule."""
        return self.stretches[-1].to_iteration

    def at(self, iteration: int) -> Stretch:
        """The stretch that step ``iteration`` (from 0) is taken in; beyond the end the last one.

        Raises:
            ValueError: ``iteration`` is negative.
        """
        if iteration < 0:
            raise ValueError(f"iteration={iteration}: must be at least 0")
        inside = (stretch for stretch in self.stretches if iteration < stretch.to_iteration)
        return next(inside, self.stretches[-1])


def encode_schedule(schedule: Schedule) -> str:
    """The file's text, which :func:`read_schedule` would read.

    Raises:
        ValueError: a value is NaN, infinite, or of a type that a schedule cannot hold.
    """
    told = {"kind": KIND, "format": FORMAT, **asdict(schedule)}
    try:
        text = json.dumps(told, indent=2, allow_nan=False) + "\n"
    except TypeError as error:
        raise ValueError(f"a hyperparameter cannot be written: {error}") from error
    parse_schedule(json.loads(text), "to be written")
    return text


def write_schedule(path: Path, schedule: Schedule) -> None:
    """Write ``schedule`` to ``path``, atomically.

    Raises:
        ValueError: as :func:`encode_schedule`.
        OSError: the file cannot be written; it is untouched.
    """
    write_atomically(path, encode_schedule(schedule))


def read_schedule(path: Path) -> Schedule:
    """Read the file that :func:`write_schedule` wrote; it runs no code.

    Raises:
        ConfigError: there is no such file, it is of a newer format, or it is no schedule: which
            key is wrong, and how.
    """
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(_KEY, path, "there is no such file", _REMEDY) from None
    except OSError as error:
        raise ConfigError(_KEY, path, f"cannot be read ({error.strerror})", _REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(_KEY, path, f"is no JSON ({error})", _REMEDY) from error
    return parse_schedule(told, str(path))


def parse_schedule(told: Any, name: str) -> Schedule:
    """The schedule that plain values tell of; ``name`` is what to call them in a complaint.

    Raises:
        ConfigError: as :func:`read_schedule`.
    """
    from pydantic import TypeAdapter, ValidationError  # slow to import, and few read schedules

    if not isinstance(told, Mapping) or told.get("kind") != KIND:
        raise ConfigError(_KEY, name, f'is no schedule: "kind" must be "{KIND}"', _REMEDY)
    written = told.get("format")
    if type(written) is not int or written < 1:
        raise ConfigError(_KEY, name, f'"format" must be a whole number, and is {written!r}')
    if written > FORMAT:
        rule = f"is of format {written}, and this hrfs reads those up to {FORMAT}"
        raise ConfigError(_KEY, name, rule, "use the hrfs that wrote it, or a newer one")
    content = {key: value for key, value in told.items() if key not in ("kind", "format")}
    try:
        text = json.dumps(content)  # pydantic takes lists for tuples, strictly, from JSON alone
        return TypeAdapter(Schedule).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        rule = " ".join(filter(None, (where, first["msg"])))
        raise ConfigError(_KEY, name, rule, _REMEDY) from error
