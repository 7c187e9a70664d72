"""The launcher is found by any Hydra program, however hrfs was installed."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENTRY = "hydra_plugins.hrfs_ray_tune_launcher.launcher:RayTuneLauncher"
APP = """
import hydra


@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    print("x is", cfg.x)
    return float(cfg.x)


if __name__ == "__main__":
    main()
"""
LOOK = """
import json, sys
from importlib.metadata import entry_points
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
found = {c.__name__: c.__module__ for c in Plugins.instance().discover(Launcher)}
module = sys.modules[found["RayTuneLauncher"]]
heavy = sorted({"ray", "torch", "pydantic"} & set(sys.modules))
entries = sorted({e.value for e in entry_points(group="hydra.plugins")})
print(json.dumps({"file": module.__file__, "heavy": heavy, "entries": entries}))
"""


def _run(*command: str | Path, cwd: Path, path: str = "") -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads, for it leaves folders behind."""
    copy = tmp_path_factory.mktemp("source") / "hrfs"
    for folder in ("conf", "hrfs", "hydra_plugins", "requirements"):
        ignored = shutil.ignore_patterns("__pycache__", "conf" if folder == "hrfs" else "")
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, copy)
    return copy


def _wheel(project: Path, into: Path) -> Path:
    into.mkdir()
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
         "--wheel-dir", into, project, cwd=into)  # fmt: skip
    (wheel,) = into.glob("hrfs-*.whl")
    return wheel


def _of_wheel(source: Path, folder: Path) -> list[str]:
    return [str(_wheel(source, folder / "wheel"))]


def _of_sdist(source: Path, folder: Path) -> list[str]:
    _run(sys.executable, "setup.py", "-q", "sdist", "--dist-dir", folder / "sdist", cwd=source)
    (archive,) = (folder / "sdist").glob("hrfs-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "unpacked", filter="data")
    (project,) = (folder / "unpacked").iterdir()
    return [str(_wheel(project, folder / "wheel"))]


def _editable(source: Path, folder: Path) -> list[str]:
    return ["--no-build-isolation", "--editable", str(source)]


def _environment(folder: Path) -> Path:
    """The Python of a new environment that has all of ours but hrfs.

    What an environment's own ``.pth`` files add, as an editable install of hrfs does, is not
    added for a folder that is itself named by such a file.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "ours.pth").write_text("\n".join(ours))
    return folder / "bin" / "python"


def _found_by(python: Path, elsewhere: Path, path: str = "") -> Path:
    """Where the launcher is found from another directory; any program can name it."""
    elsewhere.mkdir()
    (elsewhere / "my_app.py").write_text(APP)
    found = json.loads(_run(python, "-c", LOOK, cwd=elsewhere, path=path))
    assert found["heavy"] == []
    words = ["hydra/launcher=ray_tune", "hydra.launcher.max_concurrent=3"]
    shown = ["--cfg", "hydra", "--package", "hydra.launcher"]
    told = _run(python, "my_app.py", *words, *shown, cwd=elsewhere, path=path)
    assert f"_target_: {ENTRY.replace(':', '.')}" in told
    assert "max_concurrent: 3" in told
    if not path:
        assert ENTRY in found["entries"]
    return Path(found["file"])


@pytest.mark.slow
@pytest.mark.parametrize("install", [_of_wheel, _of_sdist, _editable])
def test_found_when_installed(
    source: Path, tmp_path: Path, install: Callable[[Path, Path], list[str]]
) -> None:
    python = _environment(tmp_path / "environment")
    # --ignore-installed: what is seen of our own environment must not be touched.
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
         "--ignore-installed", "--no-warn-script-location", *install(source, tmp_path),
         cwd=tmp_path)  # fmt: skip
    file = _found_by(python, tmp_path / "elsewhere")
    home = source if install is _editable else tmp_path / "environment"
    assert file.is_relative_to(home)


@pytest.mark.slow
def test_found_in_a_checkout(source: Path, tmp_path: Path) -> None:
    python = _environment(tmp_path / "environment")
    assert _found_by(python, tmp_path / "elsewhere", path=str(source)).is_relative_to(source)


@pytest.mark.slow
@pytest.mark.ray
def test_a_sweep_from_a_wheel(source: Path, tmp_path: Path) -> None:
    python = _environment(tmp_path / "environment")
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
         "--ignore-installed", *_of_wheel(source, tmp_path), cwd=tmp_path)  # fmt: skip
    (tmp_path / "my_app.py").write_text(APP)
    _run(python, "my_app.py", "-m", "hydra/launcher=ray_tune", "+x=1,2", "hydra.sweep.dir=sweep",
         "hydra.launcher.init.num_cpus=1", cwd=tmp_path)  # fmt: skip
    for number in (0, 1):
        folder = tmp_path / "sweep" / str(number)
        assert (folder / "stdout.log").read_text().splitlines()[0] == f"x is {number + 1}"
        record = json.loads((folder / ".hydra" / f"job_{number}.json").read_text())
        assert (record["status"], record["return_value"]) == ("COMPLETED", number + 1.0)


def test_hydra_1_4_finds_the_class_by_its_entry_point() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    entries = dict(
        line.split(" = ")
        for line in parser["options.entry_points"]["hydra.plugins"].strip().splitlines()
    )
    assert entries == {"ray_tune": ENTRY}
    module, name = ENTRY.split(":")
    assert getattr(import_module(module), name).__name__ == name
