"""What a worker's process says of its worker, on its way to whoever watches the run.

It travels with each result as text: to schedulers Ray Tune hands results whose nested parts it has
taken apart. Whoever watches is told when it changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FACTS_KEY = "hrfs_facts"
"""Key of a result."""


def as_result(facts: Mapping[str, Any]) -> dict[str, str]:
    """The part of a result that carries ``facts``, which are plain values; empty if they are."""
    return {FACTS_KEY: json.dumps(facts, sort_keys=True, default=str)} if facts else {}


class FactNotes:
    """Remembers what each worker said last."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def news(self, worker: str, result: Mapping[str, Any]) -> dict[str, Any] | None:
        """What ``result`` says of ``worker``, if it was not said before."""
        said = result.get(FACTS_KEY)
        if said is None or self._said.get(worker) == said:
            return None
        self._said[worker] = said
        facts: dict[str, Any] = json.loads(said)
        return facts
