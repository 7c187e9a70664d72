"""What workers tell of themselves gets into environment.json, and is found there again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.observer import LateObservers, Observers
from hrfs.reporting.worker_facts import WorkerFacts, read_worker_facts


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    path = tmp_path / "environment.json"
    path.write_text(json.dumps({"host": "here", "workers": {"old": {"cores": [9]}}}))
    return path


def test_facts_are_added_by_worker_and_the_last_word_stays(environment: Path) -> None:
    watch = Observers([WorkerFacts(environment, pytest.fail)])
    late = LateObservers([watch])
    late.on_worker_facts(1.0, "a", {"device": "X", "cores": [0, 1]})
    late.on_worker_facts(2.0, "b", {"device": "Y"})
    late.on_worker_facts(3.0, "a", {"device": "X", "cores": [2]})
    assert read_worker_facts(environment) == {"old": {"cores": [9]}}
    late.flush()
    assert read_worker_facts(environment) == {
        "old": {"cores": [9]},
        "a": {"device": "X", "cores": [2]},
        "b": {"device": "Y"},
    }
    assert json.loads(environment.read_text())["host"] == "here"


def test_a_write_that_fails_is_a_warning_and_made_up_for(environment: Path) -> None:
    warnings: list[str] = []
    observer = WorkerFacts(environment, warnings.append)
    whole = environment.read_text()
    environment.write_text("{")
    observer.on_worker_facts(1.0, "a", {"n": 1})
    (warning,) = warnings
    assert "environment.json: what a told cannot be written" in warning
    environment.write_text(whole)
    observer.on_worker_facts(2.0, "b", {"n": 2})
    assert set(read_worker_facts(environment)) == {"old", "a", "b"}


def test_reading_what_is_missing_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    assert read_worker_facts(path) == {}
    path.write_text("{}")
    assert read_worker_facts(path) == {}
    for damage in ("", "[]", '{"workers": [1]}', '{"workers": {"a": 3}}'):
        path.write_text(damage)
        with pytest.raises(ConfigError, match=r"resume=.*environment\.json: cannot be read"):
            read_worker_facts(path)
