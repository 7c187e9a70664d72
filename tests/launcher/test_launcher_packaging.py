"""The launcher is found by any Hydra program, however hrfs was installed."""

from __future__ import annotations

import configparser
import json
import sys
import sysconfig
import venv
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from builds import ROOT, build_wheel, copy_source, run, unpack_sdist

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


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed."""
    return copy_source(tmp_path_factory.mktemp("source") / "hrfs")


def _of_wheel(source: Path, folder: Path) -> list[str]:
    return [str(build_wheel(source, folder / "wheel"))]


def _of_sdist(source: Path, folder: Path) -> list[str]:
    return [str(build_wheel(unpack_sdist(source, folder), folder / "wheel"))]


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
    found = json.loads(run(python, "-c", LOOK, cwd=elsewhere, path=path))
    assert found["heavy"] == []
    words = ["hydra/launcher=ray_tune", "hydra.launcher.max_concurrent=3"]
    shown = ["--cfg", "hydra", "--package", "hydra.launcher"]
    told = run(python, "my_app.py", *words, *shown, cwd=elsewhere, path=path)
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
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
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
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
         "--ignore-installed", *_of_wheel(source, tmp_path), cwd=tmp_path)  # fmt: skip
    (tmp_path / "my_app.py").write_text(APP)
    run(python, "my_app.py", "-m", "hydra/launcher=ray_tune", "+x=1,2", "hydra.sweep.dir=sweep",
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
