"""What a process says of its worker comes through Tune's results, and is news once."""

from __future__ import annotations

from typing import Any

from ray.tune.utils import flatten_dict

from hrfs.tuning.dispatch import metrics_of
from hrfs.tuning.facts import FactNotes, as_result

FACTS: dict[str, Any] = {"device": "X", "trainer": {"compile": False}, "cores": [0, 1]}


def test_facts_survive_what_tune_does_to_results() -> None:
    result = flatten_dict({"val/acc": 0.5, **as_result(FACTS)})
    notes = FactNotes()
    assert notes.news("a", result) == FACTS
    assert notes.news("a", result) is None
    assert notes.news("b", result) == FACTS
    assert notes.news("a", as_result({**FACTS, "cores": [2]})) == {**FACTS, "cores": [2]}
    assert metrics_of(result) == {"val/acc": 0.5}


def test_without_facts_there_is_no_news() -> None:
    assert as_result({}) == {}
    assert FactNotes().news("a", {"val/acc": 0.5}) is None
