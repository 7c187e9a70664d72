"""Counts the cases of each test, in whichever process it runs, and prints their sum at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz_cases import CASES, SHORT, TOTAL

PROPERTY = "fuzz cases"
HERE = Path(__file__).parent
LONGEST_S = 3600
sys.path.append(str(HERE.parent / "core"))  # of the machine that the core's own tests use too


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long form takes as long as it takes."""
    for item in items:
        if TOTAL > SHORT and HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONGEST_S))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Leave the number of cases in the test's report, which finds its way out of any process."""
    before = CASES.total()
    yield
    if CASES.total() > before:
        item.user_properties.append((PROPERTY, CASES.total() - before))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many cases were tried, and by which tests."""
    lines = []
    total = 0
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            tried = dict(report.user_properties).get(PROPERTY)
            if tried is not None:
                total += tried
                lines.append(f"{tried:7d}  {report.nodeid.partition('::')[2]}")
    if lines:
        terminalreporter.section("fuzz")
        terminalreporter.write_line("\n".join(sorted(lines, reverse=True)))
        terminalreporter.write_line(f"{total:7d}  cases tried")
