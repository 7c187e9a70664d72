"""How many cases are tried, and how many were.

``HRFS_FUZZ_CASES`` is the number for the whole folder, 300 unless told; each test takes a share
of it::

    HRFS_FUZZ_CASES=10000 python -m pytest tests/fuzz
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from math import ceil
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

SHORT = 300
TOTAL = int(os.environ.get("HRFS_FUZZ_CASES", SHORT))
CASES: Counter[str] = Counter()
"""Cases that this process has tried, by name of the test."""

Test = Callable[..., None]


def thorough(share: float) -> settings:
    """Settings of a test that tries ``share`` of all cases; a busy machine must fail none."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=ceil(share * TOTAL), deadline=None, suppress_health_check=slow)


def fuzz(share: float, **strategies: SearchStrategy[Any]) -> Callable[[Test], Test]:
    """Make a test of ``share`` of all cases, whose arguments are drawn from ``strategies``."""

    def decorate(test: Test) -> Test:
        @thorough(share)
        @given(**strategies)
        @functools.wraps(test)
        def counted(**values: Any) -> None:
            CASES[test.__name__] += 1
            test(**values)

        return counted

    return decorate
