"""The arguments of ``python -m hrfs.simulate``: key=value, in Hydra's manner but without Hydra."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from hrfs.cli.names import require_one_of, suggestion
from hrfs.experiment.errors import ConfigError

Format = Literal["table", "json"]
DIGITS = 18
MAX_STALENESS = "scheduler.max_staleness"
KEYS = (
    "workload",
    "scheduler",
    "out",
    "format",
    "seed",
    "seeds",
    "scheduler.request",
    MAX_STALENESS,
    "what_if",
)
FROM_RUN = "from_run:"
"""What makes a ``workload`` the folder of a real run instead of a spec."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be simulated, and where it goes."""

    workload: Path
    scheduler: str
    scheduler_request: str
    """Kind of worker that the trials of ``ray_pbt`` ask for."""
    max_staleness_iterations: int | None
    """How far a trial of ``hrfs`` may be ahead of the least advanced one; None is any."""
    out: Path | None
    format: str
    seed: int | None
    """None is the spec's own."""
    seeds: tuple[int, ...] | None
    """One population for each; None is what the spec says."""


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What is to be replayed, and where it goes."""

    folder: Path
    what_if: tuple[str, ...]
    scheduler: str | None
    """None is the run's own."""
    scheduler_request: str | None
    """Kind of worker that the trials of ``ray_pbt`` ask for; None is the run's own."""
    max_staleness_iterations: int | None
    """How far a trial of ``hrfs`` may be ahead of the least advanced one; None is the run's own."""
    out: Path | None
    format: str
    seed: int | None
    """None leaves each slice the noise that it had."""


def parse(arguments: Sequence[str], schedulers: Sequence[str]) -> Request | ReplayRequest:
    """Read the arguments; of two equal keys the last counts, as in Hydra, but for ``what_if``.

    Raises:
        ConfigError: no key=value, an unknown key or value, a missing workload, or an ``out``
            that cannot be written.
    """
    pairs = [_split(argument) for argument in arguments]
    values = dict(pairs)
    if not values.get("workload"):
        raise ConfigError("workload", "???", "must be given", "add workload=SPEC.json")
    require_one_of("scheduler", values.get("scheduler", "hrfs"), schedulers)
    require_one_of("format", values.get("format", "table"), get_args(Format))
    what_if = tuple(value for key, value in pairs if key == "what_if")
    if values["workload"].startswith(FROM_RUN):
        return _replay_request(values, what_if)
    if what_if:
        rule = "changes a real run, and workload is none"
        raise ConfigError("what_if", what_if[0], rule, f"give workload={FROM_RUN}FOLDER")
    workload = Path(values["workload"])
    out = Path(values["out"]) if values.get("out") else None
    if out is not None:
        _check_out(out, workload)
    return Request(
        workload=workload,
        scheduler=values.get("scheduler", "hrfs"),
        scheduler_request=values.get("scheduler.request", "auto"),
        max_staleness_iterations=_whole(MAX_STALENESS, values.get(MAX_STALENESS)),
        out=out,
        format=values.get("format", "table"),
        seed=_whole("seed", values.get("seed")),
        seeds=_several("seeds", values.get("seeds")),
    )


def _replay_request(values: Mapping[str, str], what_if: tuple[str, ...]) -> ReplayRequest:
    folder = Path(values["workload"].removeprefix(FROM_RUN))
    if "seeds" in values:
        rule = "is for a spec; the populations of a run are those that it had"
        raise ConfigError("seeds", values["seeds"], rule, "leave it out")
    out = Path(values["out"]) if values.get("out") else None
    if out is not None:
        if len(what_if) > 1:
            rule = f"is for the slices of one replay, and there are {len(what_if)} what_if"
            raise ConfigError("out", out, rule, "ask for them one by one")
        _check_out(out, folder / "slices.csv")
    return ReplayRequest(
        folder=folder,
        what_if=what_if,
        scheduler=values.get("scheduler"),
        scheduler_request=values.get("scheduler.request"),
        max_staleness_iterations=_whole(MAX_STALENESS, values.get(MAX_STALENESS)),
        out=out,
        format=values.get("format", "table"),
        seed=_whole("seed", values.get("seed")),
    )


def _split(argument: str) -> tuple[str, str]:
    key, equals, value = argument.partition("=")
    if not equals or not key:
        raise ConfigError("argument", argument, "is no key=value", "--help lists the keys")
    if key not in KEYS:
        raise ConfigError(key, value, "there is no such key", suggestion(key, KEYS))
    return key, value


def _whole(key: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        rule = f"must be a whole number, at least 0, of at most {DIGITS} digits"
        raise ConfigError(key, text, rule)
    return int(text)


def _several(key: str, text: str | None) -> tuple[int, ...] | None:
    """``0,1,2``, in brackets or not, as Hydra writes lists."""
    if text is None:
        return None
    bracketed = text.startswith("[") and text.endswith("]")
    listed = text[1:-1] if bracketed else text
    return tuple(n for part in listed.split(",") if (n := _whole(key, part.strip())) is not None)


def _check_out(out: Path, workload: Path) -> None:
    """Complain now about what would fail after a long simulation."""
    remedy = "choose another file"
    if out.exists():
        if not out.is_file():
            raise ConfigError("out", out, "is there and is no file", remedy)
        if workload.exists() and out.samefile(workload):
            raise ConfigError("out", out, "is the workload, which would be lost", remedy)
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ConfigError("out", out, f"cannot be written ({folder} is no folder)", remedy)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError("out", out, f"cannot be written (no right to write {folder})", remedy)
