"""What a process does not import before it needs it; a clock would say less, and not each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def imported(code: str, *names: str) -> set[str]:
    """Which of the modules are imported after ``code`` in a process of its own."""
    asked = f"{code}\nimport sys\nprint('\\n', *{set(names)!r} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_reader_of_imports_sees_them() -> None:
    assert imported("import json, email.message", "json", "email.message", "yaml") == {
        "json",
        "email.message",
    }


def test_help_comes_without_hydra_and_numpy() -> None:
    code = "from hrfs.cli.main import main\nmain(['--help'])"
    assert imported(code, "hydra", "omegaconf", "numpy", "yaml", "rich") == set()


@pytest.mark.torch
def test_ray_is_started_before_tune_is_imported() -> None:
    code = "import hrfs.tuning.run"
    assert imported(code, "ray", "ray.tune", "pandas", "pyarrow", "torch") == {"ray"}
