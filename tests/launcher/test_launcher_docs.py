"""docs/launcher.md says what the launcher does."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.hrfs_ray_tune_launcher.config import RayTuneLauncherConf

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "launcher.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def flat(config: DictConfig, prefix: str = "") -> dict[str, object]:
    """Every key with its default, but those of mappings that are empty."""
    keys: dict[str, object] = {}
    for name in config:
        value = config[name]
        if isinstance(value, DictConfig) and len(value):
            keys |= flat(value, f"{prefix}{name}.")
        else:
            keys[f"{prefix}{name}"] = value
    return keys


def test_every_key_is_listed_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]+)` \|", TEXT, re.M))
    keys = flat(OmegaConf.structured(RayTuneLauncherConf))
    del keys["_target_"]
    assert list(rows) == list(keys)
    spelled = {True: "true", False: "false", None: "null"}
    for key, default in keys.items():
        plain = spelled[default] if default is None or isinstance(default, bool) else default
        assert rows[key] == str(plain), key


@pytest.mark.ray
@pytest.mark.slow
def test_the_example_runs_and_resumes(tmp_path: Path) -> None:
    (code,) = blocks("python")
    (tmp_path / "my_app.py").write_text(code)
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    first, again = [words for words in commands if "hydra.sweep.dir=sweep" in words]
    assert again == [*first, "hydra.launcher.resume=true"]
    printed = [_run(words, tmp_path) for words in (first, again)]
    assert "training with lr 0.3" in (tmp_path / "sweep" / "2" / "stdout.log").read_text()
    assert "skipped jobs 0-3" not in printed[0]
    assert "skipped jobs 0-3: completed before, configuration unchanged" in printed[1]


def _run(words: list[str], folder: Path) -> str:
    assert words[:2] == ["python", "my_app.py"]
    done = subprocess.run(
        [sys.executable, *words[1:], "hydra.launcher.init.num_cpus=2"], cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
