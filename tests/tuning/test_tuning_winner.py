"""Who wins."""

from __future__ import annotations

import math

import pytest

from hrfs.tuning.winner import Contender, best_of

pytestmark = pytest.mark.ray


def test_best_finite_score_with_weights_wins() -> None:
    contenders = [
        Contender(0, 0.5, "a"),
        Contender(1, math.nan, "b"),
        Contender(2, 0.9, None),
        Contender(3, 0.7, "d"),
        Contender(4, 0.7, "e"),
        Contender(5, None, "f"),
    ]
    best = best_of(contenders, "max")
    assert best is not None
    assert best.trial == 3
    worst = best_of(contenders, "min")
    assert worst is not None
    assert worst.trial == 0


def test_no_winner_without_a_finite_score() -> None:
    assert best_of([Contender(0, math.nan, "a"), Contender(1, None, "b")], "max") is None
