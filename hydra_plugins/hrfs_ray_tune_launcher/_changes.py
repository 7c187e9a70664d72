"""What differs between the configuration that a job finished with and the one it has now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ABSENT = "nothing"
_LONGEST = 60
_MOST = 3


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Each key that differs, with the old and the new value, in the order of the old keys.

    Mappings are compared key by key (``optimizer.lr``), lists as a whole.
    """
    found: list[tuple[str, str, str]] = []
    for key in [*before, *(key for key in now if key not in before)]:
        if key not in before or key not in now:
            old, new = (_shown(side[key]) if key in side else _ABSENT for side in (before, now))
            found.append((key, old, new))
        elif isinstance(before[key], dict) and isinstance(now[key], dict):
            inner = changes(before[key], now[key])
            found += [(f"{key}.{name}", old, new) for name, old, new in inner]
        elif before[key] != now[key] or type(before[key]) is not type(now[key]):
            found.append((key, _shown(before[key]), _shown(now[key])))
    return found


def told(differences: list[tuple[str, str, str]]) -> str:
    """The first differences in words: ``lr was 0.1 and is 0.2``."""
    first = [f"{key} was {old} and is {new}" for key, old, new in differences[:_MOST]]
    more = len(differences) - _MOST
    return ", ".join(first) + (f", and {more} more" if more > 0 else "")


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
