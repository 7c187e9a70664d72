"""The layers hold, and the reader of imports would see it if they did not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("layers", Path(__file__).with_name("layers.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
layers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(layers)


def test_imports_point_down_and_siblings_are_strangers() -> None:
    assert layers.violations(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "rule"),
    [
        ("hrfs/core/a.py", "import time", "the core uses numpy"),
        ("hrfs/core/a.py", "from pathlib import Path", "the core uses numpy"),
        ("hrfs/core/a.py", "import scipy.optimize", "the core uses numpy"),
        ("hrfs/core/a.py", "from hrfs.experiment import plan", "imports point down"),
        ("hrfs/core/a.py", "from ..experiment import plan", "imports point down"),
        ("hrfs/core/a.py", "from .. import tuning", "imports point down"),
        ("hrfs/experiment/a.py", "import ray", "neither ray nor torch"),
        ("hrfs/experiment/a.py", "import torch.nn as nn", "neither ray nor torch"),
        ("hrfs/experiment/a.py", "from omegaconf import OmegaConf", "only the command line"),
        ("hrfs/tuning/a.py", "from hrfs.training import runner", "siblings"),
        ("hrfs/training/a.py", "def f():\n    import hrfs.reporting.history", "siblings"),
        ("hrfs/simulator/a.py", "from hrfs import tuning", "siblings"),
        ("hrfs/reporting/a.py", "import hydra", "only the command line"),
        ("hrfs/reporting/a.py", "from hrfs.cli import main", "imports point down"),
        ("hrfs/tuning/a.py", "import hrfs.helpers", "helpers is in no layer"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, line: str, rule: str) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(parents=True)
    planted.write_text(f"{line}\n")
    found = layers.violations(tmp_path)
    assert len(found) == 1
    assert rule in found[0]
    assert found[0].startswith(file)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("hrfs/core/a.py", "import math, numpy\nfrom .b import c\nfrom hrfs.core.d import e"),
        ("hrfs/training/a.py", "import torch\nfrom hrfs.experiment.plan import Plan"),
        ("hrfs/cli/a.py", "import hydra\nfrom hrfs.tuning import run\nimport hrfs.core.pbt"),
        ("hrfs/__main__.py", "from hrfs.cli.main import main"),
        ("hydra_plugins/x/a.py", "import hydra\nfrom hrfs.cli import main"),
        ("hrfs/reporting/a.py", "import hrfs\nfrom hrfs import __version__"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, file: str, line: str) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(parents=True)
    planted.write_text(f"{line}\n")
    assert layers.violations(tmp_path) == []


def test_the_plugin_namespace_has_no_init() -> None:
    assert not (ROOT / "hydra_plugins" / "__init__.py").exists()
    assert "numpy" not in sys.stdlib_module_names  # what the rule for the core rests on
