"""The event log of a run: what its scheduling core was told, from which its state is made again.

``hrfs-events.jsonl`` has one JSON object per line (NaN is written as Python writes it). The first
is the header: ``format``, the version of hrfs, and the ``settings`` that decide. Each other line
is one event of :mod:`hrfs.core.events`: ``event`` names its class, then come its fields, then
``facts`` that the driver alone knows. The core is a function of its events, so nothing of its
state is written. Paths of checkpoints are relative to the folder of the log, which may be moved.
Lines are only ever appended; reading them runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from hrfs import __version__
from hrfs.core.events import Event, SliceDone
from hrfs.core.timetable import Timetable
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.plan import Plan

EVENTS_NAME = "hrfs-events.jsonl"
"""File in the folder that holds the folders of the trials."""
FORMAT = 1
_CLASSES: dict[str, Any] = {kind.__name__: kind for kind in get_args(Event)}
_KEY = "resume"
_ADDED_LATER = ("hung",)
"""Fields that older logs lack; they mean what their default says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and the driver's own ``facts`` about it.

    ``trial_id`` (Tune's name of a TrialAdded), ``worker`` (the WorkerInfo of a WorkerJoined),
    ``record`` (the SliceRecord of a SliceDone), ``pardoned`` (trials, and how many failures a
    SliceDone has shown to be a worker's, not theirs), ``copy`` (path of the donor's checkpoint
    that an exploit took over), ``own_failure`` (a slice lost for a fault of the trial's own),
    ``kind`` (a FailureKind: in what way the slice of a SliceFailed or WorkerLeft was lost),
    ``starts`` (the slices that the core then started: number, trial, worker, iterations).
    """

    event: Event
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Log:
    """What a log says. ``size`` counts the bytes of its whole lines, ``torn`` those left out."""

    settings: Mapping[str, Any]
    entries: Sequence[Entry]
    size: int
    torn: int


def settings_of(plan: Plan, policy: str, max_staleness_iterations: int | None) -> dict[str, Any]:
    """All that the core's decisions follow from beside the events, as plain values."""
    return {
        "policy": policy,
        "trials": plan.trials,
        "stop_iterations": plan.stop_iterations,
        "interval_iterations": plan.interval_iterations,
        "search_space": {name: repr(plan.search_space[name]) for name in sorted(plan.search_space)},
        "quantile": plan.pbt.quantile,
        "resample_probability": plan.pbt.resample_probability,
        "metric": plan.metric,
        "mode": plan.mode,
        "target_score": plan.target_score,
        "stop_on_target": plan.stop_on_target,
        "seeds": list(plan.seeds),
        "max_staleness_iterations": max_staleness_iterations,
        **({"timetable": _told(plan.timetable)} if plan.timetable is not None else {}),
    }


def _told(timetable: Timetable) -> list[Any]:
    return [[start, dict(values)] for start, values in timetable.stretches]


def encode_header(settings: Mapping[str, Any]) -> bytes:
    """The first line."""
    return _line({"format": FORMAT, "hrfs": __version__, "settings": dict(settings)})


def encode_entry(entry: Entry, root: str) -> bytes:
    """One line; paths below ``root``, the folder of the log, become relative."""
    event, facts = entry.event, dict(entry.facts)
    told = {f.name: getattr(event, f.name) for f in fields(event)}
    if isinstance(event, SliceDone) and event.checkpoint is not None:
        told["checkpoint"] = event.checkpoint.removeprefix(f"{root}/")
    if "copy" in facts:
        facts["copy"] = facts["copy"].removeprefix(f"{root}/")
    return _line({"event": type(event).__name__, **told} | ({"facts": facts} if facts else {}))


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Mappings, numpy's scalars, and whatever else a user lists as a choice."""
    if isinstance(value, Mapping):
        return dict(value)
    item = getattr(value, "item", None)
    return item() if callable(item) else repr(value)


def parse_log(data: bytes, name: str, root: str) -> Log:
    """Read a log; of its last line nothing is taken if it is not whole.

    Args:
        data: the bytes of the file.
        name: what to call it in a complaint.
        root: its folder, by which paths become absolute again.

    Raises:
        ConfigError: no event log, one of a newer format, or a line that cannot be read.
    """
    lines = data.split(b"\n")
    lines.pop()  # what follows the last line end: nothing, or a torn line
    parsed: list[dict[str, Any]] = []
    size = 0
    for number, line in enumerate(lines, start=1):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break  # a write that the machine did not survive
            raise _unreadable(name, number) from error
        if not isinstance(content, dict):
            raise _unreadable(name, number)
        parsed.append(content)
        size += len(line) + 1
    settings = _read_header(parsed[0] if parsed else {}, name)
    entries = [_entry(one, name, n, root) for n, one in enumerate(parsed[1:], start=2)]
    return Log(settings, entries, size, len(data) - size)


def _read_header(header: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    told, settings = header.get("format"), header.get("settings")
    if type(told) is int and told > FORMAT:
        rule = f"is in format {told}, and this hrfs reads up to {FORMAT}"
        raise ConfigError(_KEY, name, rule, f"use hrfs {header.get('hrfs', 'of that format')}")
    if type(told) is not int or told < 1 or not isinstance(settings, dict):
        raise ConfigError(_KEY, name, "is no event log of a run", "give the folder of a run")
    return settings


def _entry(content: Mapping[str, Any], name: str, number: int, root: str) -> Entry:
    try:
        kind = _CLASSES[content["event"]]
        values = {
            f.name: content.get(f.name, f.default) if f.name in _ADDED_LATER else content[f.name]
            for f in fields(kind)
        }
        facts = dict(content.get("facts", {}))
        if values.get("checkpoint") is not None:
            values["checkpoint"] = _absolute(values["checkpoint"], root)
        if "copy" in facts:
            facts["copy"] = _absolute(facts["copy"], root)
        return Entry(kind(**values), facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(name, number) from error


def _absolute(path: str, root: str) -> str:
    return path if path.startswith("/") else f"{root}/{path}"


def _unreadable(name: str, number: int) -> ConfigError:
    return ConfigError(_KEY, name, f"line {number} cannot be read", "take the file from a backup")
