"""Values that nobody foresaw: of any type, at any extreme."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

HUGE = 10**400
"""A whole number that no float can hold."""
BEYOND_TEXT = 10**5000
"""A whole number of more digits than Python turns into text."""
ODD_NUMBERS = [0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64, HUGE, -HUGE, 0.0, -0.0, 0.5,
               -1.5, 5e-324, 1e308, 1.7976931348623157e308, -1e308, math.nan, math.inf,
               -math.inf]  # fmt: skip
ODD_TEXTS = ["", " ", "???", "null", "nan", "auto", "1", "1e3", "true", "a=b", "\x00", "\x1b[31m",
             "two\nlines", "\u2028", "\u202e", "é", "漢字", "💥", "x" * 3000, "${nothing}",
             "${seed}", "${", "${oc.env:NO_SUCH_VARIABLE}", "../../x", "os.system",
             "<host>"]  # fmt: skip


@cache
def numbers() -> SearchStrategy[int | float]:
    """Any, the odd ones often."""
    return st.one_of(st.sampled_from(ODD_NUMBERS), st.integers(-5, 50), st.integers(), st.floats())


@cache
def texts() -> SearchStrategy[str]:
    """Any Unicode that files and arguments can hold, the odd ones often."""
    any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return st.one_of(st.sampled_from(ODD_TEXTS), any_text)


@cache
def scalars() -> SearchStrategy[Any]:
    """What stands for itself in YAML and JSON."""
    return st.one_of(st.none(), st.booleans(), numbers(), texts())


@cache
def values() -> SearchStrategy[Any]:
    """Scalars, and lists and mappings of them, a few levels deep."""
    return st.recursive(
        scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(texts(), inner, max_size=4)
        ),
        max_leaves=6,
    )
