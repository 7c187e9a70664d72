"""The launcher's benchmark runs and prints one row per launcher."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.ray
@pytest.mark.slow
def test_a_row_per_launcher(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.launcher", "--jobs", "3",
         "--launchers", "basic", "ray_tune"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^│ (\w+) +│ +3 │ +([\d.]+) │ +([\d.]+) │", done.stdout, re.M)
    assert [row[0] for row in rows] == ["basic", "ray_tune"]
    assert all(float(median) > 0 for _, _, median in rows)
    assert "Python" in done.stdout
    assert not list(tmp_path.iterdir())
