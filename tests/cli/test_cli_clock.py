"""A clock that is set while a run is under way changes no duration."""

from __future__ import annotations

import ast
import json
import time
from pathlib import Path

import pytest
from driver_processes import ROOT, driver

from hrfs.reporting import check_consistency, read_slices

TIMESTAMPS = {
    "hrfs/reporting/event_file.py": 1,
    "hrfs/reporting/tensorboard.py": 2,
    "hrfs/reporting/tensorboard_image.py": 1,
    "hrfs/reporting/environment.py": 1,
    "hrfs/training/sources/store.py": 1,
    "hydra_plugins/hrfs_ray_tune_launcher/_records.py": 1,
}
"""Files that may look at the clock on the wall, for a point in time to be shown or that of
a file to be compared with, and how often."""

JUMPING = """
import time
_real, _monotonic = time.time, time.monotonic
time.time = lambda: _real() + (-86400.0, 86400.0)[int(_monotonic()) % 2]
"""
"""Imported by every Python process at its start: each second the clock jumps by two days."""


def looks_at_the_clock(source: str) -> int:
    """How often ``source`` names the clock on the wall."""
    names = {"time.time", "time.localtime", "datetime.now", "datetime.utcnow", "date.today"}
    if not any(name in source for name in names):
        return 0
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return sum(ast.unparse(node).endswith(tuple(names)) for node in nodes)


def test_the_wall_clock_is_looked_at_only_to_be_shown() -> None:
    files = [*ROOT.glob("hrfs/**/*.py"), *ROOT.glob("hydra_plugins/**/*.py")]
    assert len(files) > 100
    found = {
        str(file.relative_to(ROOT)): count
        for file in files
        if (count := looks_at_the_clock(file.read_text()))
    }
    assert found == TIMESTAMPS
    assert looks_at_the_clock("import time\nstart = time.time()") == 1


@pytest.mark.soak
@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_clock_that_jumps_by_days_changes_no_duration(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    program = (
        "-m",
        "hrfs",
        "experiment=smoke",
        "population.stop_iterations=8",
        "report.console=plain",
        "hydra.run.dir=run",
    )
    began = time.monotonic()
    with driver(tmp_path, *program, path=(tmp_path, ROOT)) as run:
        run.process.wait(timeout=300)
        assert run.process.returncode == 0, run.printed
    took_s = time.monotonic() - began
    records = read_slices(tmp_path / "run" / "slices.csv")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert check_consistency(records, summary) == []
    assert all(0 <= record.start_s <= record.end_s <= took_s for record in records)
    for record in records:
        parts = (record.load_s, record.train_s, record.evaluate_s, record.save_s, record.wait_s)
        assert all(0 <= part <= took_s for part in parts)
    assert 0 < summary["makespan_s"] < took_s
