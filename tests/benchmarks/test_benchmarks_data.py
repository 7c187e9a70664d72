"""The benchmark of what images cost, at its smallest."""

from __future__ import annotations

import tempfile

import pytest

from benchmarks.data import main

SMALL = ["--samples", "200", "--batch", "16", "--batches", "2", "--threads", "1"]


@pytest.mark.torch
@pytest.mark.parametrize(("part", "rows"), [("batches", 3), ("slices", 3)])
def test_each_part_prints_its_table(
    part: str, rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tempfile.tempdir
    main(["--parts", part, *SMALL])
    out = capsys.readouterr().out
    cells = [line.strip("│").split("│") for line in out.splitlines() if line.startswith("│")]
    assert len(cells) == rows
    assert all(float(row[1]) > 0 for row in cells)
    assert "200 images, 1 threads" in out
    assert tempfile.tempdir == before


@pytest.mark.soak
@pytest.mark.slow
def test_processes_that_share_take_less_memory(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--parts", "memory", "--samples", "20000", "--processes", "2"])
    lines = capsys.readouterr().out.splitlines()
    own, shared = ([*line.strip("│").split("│")] for line in lines if line.startswith("│"))
    assert float(own[4]) - float(shared[4]) > 40, "a copy of 60 MB less"
    assert float(shared[2]) < float(own[2])
