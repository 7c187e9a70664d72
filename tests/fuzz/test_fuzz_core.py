"""The core's events with faults among them, as many as are asked for; see ``core_machine``."""

from __future__ import annotations

from typing import Any

import pytest
from core_machine import DISTINCT, machine
from fuzz_cases import CASES, thorough
from hypothesis.stateful import run_state_machine_as_test

SHARE = 0.15


@pytest.mark.parametrize("policy", sorted(DISTINCT.values()))
def test_any_events(policy: str) -> None:
    class Counted(machine(policy)):  # type: ignore[misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            CASES["test_any_events"] += 1

    Counted.__name__ = f"Core_{policy}"
    run_state_machine_as_test(Counted, settings=thorough(SHARE / len(DISTINCT)))
