"""Any order of events, and what must hold after each of them."""

from __future__ import annotations

import pytest
from core_machine import DISTINCT, machine
from hypothesis.stateful import run_state_machine_as_test


@pytest.mark.parametrize("policy", sorted(DISTINCT.values()))
def test_whatever_happens(policy: str) -> None:
    run_state_machine_as_test(machine(policy))
