"""The digits come out of scikit-learn's file without scikit-learn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hrfs.training.sources import digits

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.torch
@pytest.mark.parametrize("moved", [False, True])
def test_the_table_is_scikit_learns_wherever_that_keeps_it(
    moved: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    if moved:
        monkeypatch.setattr(digits, "_package", lambda: tmp_path)
    pixels, labels = digits.read_table()
    assert np.array_equal(pixels, bunch.images)
    assert np.array_equal(labels, bunch.target)
    assert (pixels.dtype, labels.dtype) == (np.float64, np.int64)


def test_reading_them_imports_neither_scikit_learn_nor_scipy() -> None:
    code = (
        "import sys; from hrfs.training.sources.digits import DigitsSource\n"
        "assert len(DigitsSource().read('train')) == 1438\n"
        "sys.exit(', '.join({'sklearn', 'scipy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == "\n"
