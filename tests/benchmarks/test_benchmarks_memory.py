"""The benchmark of memory: its line through the points, and its smallest run."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from benchmarks import memory


def test_the_slope_is_that_of_a_line_after_the_warm_up() -> None:
    warm_up = [100.0, 400.0]
    line = [500.0 + 2 * slice_ / 1024 for slice_ in range(8)]
    slope, error = memory.slope_kb([*warm_up, *line])
    assert slope == pytest.approx(2.0)
    assert error == pytest.approx(0.0, abs=1e-9)


def test_what_the_slope_is_uncertain_by_covers_it() -> None:
    noise = np.random.default_rng(0)
    found = [memory.slope_kb(list(noise.normal(500, 1, 200))) for _ in range(200)]
    within = np.mean([abs(slope) < 2 * error for slope, error in found])
    assert 0.9 < within < 0.99


@pytest.mark.torch
def test_it_prints_the_growth_of_a_few_slices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["memory", "--stems", "--slices", "20", "--iterations", "1"]
    monkeypatch.setattr(sys, "argv", command)
    memory.main()
    shown = capsys.readouterr().out
    assert re.search(r"growth -?\d+\.\d\d ± \d+\.\d\d KiB per slice", shown)


@pytest.mark.torch
def test_sizes_are_those_of_this_process() -> None:
    sizes = memory.measure_size({**memory.SMALL, "samples": 200}, threads=1)
    assert 50 < sizes["own"] < sizes["resident"] <= sizes["peak"]
