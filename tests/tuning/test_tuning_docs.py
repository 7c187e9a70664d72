"""The example of docs/ray_tune.md runs, and its plain trainable keeps the contract."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.ray

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "ray_tune.md"


def test_the_example_trains_a_users_own_trainable(
    ray_cluster: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.M | re.S)
    namespace: dict[str, Any] = {"__name__": "example_of_the_docs"}
    exec(compile(code, str(DOCUMENT), "exec"), namespace)
    monkeypatch.chdir(tmp_path)
    namespace["main"]()
    (lowest, lr) = re.search(r"lowest (\S+) with lr (\S+)", capsys.readouterr().out).groups()  # type: ignore[union-attr]
    assert float(lowest) < 1.0, "the best learning rates go down the parabola"
    assert 1e-4 <= float(lr) <= 2.0
    (experiment,) = (tmp_path / "results").iterdir()
    folders = [folder for folder in experiment.iterdir() if folder.is_dir()]
    assert len(folders) == 8
    for folder in folders:
        assert 1 <= len(list(folder.glob("checkpoint_*"))) <= 2
