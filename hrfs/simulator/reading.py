"""Reading a spec: every fault is one line with the key, the value and the rule.

Pydantic checks types and ranges, which stand beside the fields in :mod:`hrfs.simulator.spec`;
:mod:`hrfs.simulator.rules` checks what concerns several fields.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hrfs.experiment.errors import ConfigError
from hrfs.simulator.rules import check
from hrfs.simulator.spec import LearningCurve, LearningRate, Link, SimulatedWorker, Workload

KEY = "workload"
"""The argument of the command line that names a spec."""
LONGEST_VALUE = 60
"""Characters of a wrong value that a message quotes."""

_WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list",
    "dict_type": "must be an object, {{...}}",
    "mapping_type": "must be an object, {{...}}",
    "dataclass_type": "must be an object, {{...}}",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must list at least {min_length}",
    "too_long": "must list at most {max_length}",
    "missing": "must be given",
}
_CLASSES: dict[str, type] = {
    "workers": SimulatedWorker,
    "links": Link,
    "curve": LearningCurve,
    "learning_rate": LearningRate,
}
"""The keys of the objects within a spec."""


def read_workload(path: Path) -> Workload:
    """Read and check a JSON spec.

    Raises:
        ConfigError: the file cannot be read or is no JSON, or the first rule that is broken.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(KEY, path, f"cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise ConfigError(KEY, path, "is no JSON: not UTF-8 text", "give a spec") from None
    try:
        plain = json.loads(text, object_pairs_hook=_without_twins)
    except ConfigError:
        raise
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(KEY, path, f"is no JSON: {error.msg} ({place})") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(KEY, path, f"is no JSON that can be read: {error}") from None
    if not isinstance(plain, dict):
        raise ConfigError(KEY, path, "must hold one JSON object, {...}")
    return workload_from_mapping(plain)


def workload_from_mapping(plain: Mapping[str, Any]) -> Workload:
    """Check parsed JSON.

    Raises:
        ConfigError: the first rule that is broken.
    """
    try:
        workload = _adapter().validate_json(json.dumps(dict(plain)))
    except ValidationError as error:
        raise _first_fault(error.errors(include_url=False)) from None
    check(workload)
    return workload


@cache
def _adapter() -> TypeAdapter[Workload]:
    return TypeAdapter(Workload)


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object; JSON's readers take the last of two equal keys without a word."""
    plain: dict[str, Any] = {}
    for key, value in pairs:
        if key in plain:
            raise ConfigError(key, _quoted(value), "is given twice in the same object")
        plain[key] = value
    return plain


def _first_fault(faults: Sequence[Mapping[str, Any]]) -> ConfigError:
    """An unknown key comes before a missing one, which may be the same misspelt."""
    for fault in faults:
        if fault["type"] == "unexpected_keyword_argument":
            return _unknown_key(fault)
    fault = faults[0]
    value = "???" if fault["type"] == "missing" else _quoted(fault["input"])
    words = _WORDS.get(fault["type"])
    rule = words.format(**fault.get("ctx", {})) if words else fault["msg"]
    return ConfigError(_path(fault["loc"]), value, rule)


def _unknown_key(fault: Mapping[str, Any]) -> ConfigError:
    *parents, key = fault["loc"]
    names = [name for name in parents if isinstance(name, str)]
    owner = _CLASSES[names[-1]] if names else Workload
    known = sorted(field.name for field in dataclasses.fields(owner))
    near = difflib.get_close_matches(str(key), known, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    return ConfigError(_path(fault["loc"]), _quoted(fault["input"]), "there is no such key", remedy)


def _path(location: Sequence[int | str]) -> str:
    """``("workers", 3, "name")`` as ``workers[3].name``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or KEY


def _quoted(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
