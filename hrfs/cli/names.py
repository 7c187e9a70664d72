"""Finding the name that a user probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hrfs.experiment.errors import ConfigError


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Up to ``count`` of the ``known`` names, the most similar to ``name`` first."""
    return difflib.get_close_matches(name, sorted(known), n=count, cutoff=0.5)


def suggestion(name: str, known: Iterable[str]) -> str:
    """``did you mean a or b?`` or, if nothing is near, all the known names."""
    names = sorted(known)
    near = nearest(name, names)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are: {', '.join(names)}" if names else "there are none"


def require_one_of(key: str, value: str, known: Iterable[str]) -> None:
    """Refuse a ``value`` that is none of the ``known`` ones.

    Raises:
        ConfigError: it is not; the message lists all of them and the nearest.
    """
    names = list(known)
    if value not in names:
        near = nearest(value, names, count=1)
        remedy = f"did you mean {near[0]}?" if near else ""
        raise ConfigError(key, value, f"must be one of {', '.join(names)}", remedy)
