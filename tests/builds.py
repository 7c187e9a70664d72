"""Building hrfs as a user's pip would, for the tests of what is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path, path: str = "") -> str:
    """What the command prints, with ``path`` as PYTHONPATH; it must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_source(to: Path) -> Path:
    """A copy of what a build reads, for it leaves folders behind."""
    for folder in ("conf", "hrfs", "hydra_plugins", "requirements"):
        ignored = shutil.ignore_patterns("__pycache__", "conf" if folder == "hrfs" else "")
        shutil.copytree(ROOT / folder, to / folder, ignore=ignored)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, to)
    return to


def build_wheel(project: Path, into: Path) -> Path:
    """The wheel of ``project``, in the folder ``into``, which may be there already."""
    into.mkdir(exist_ok=True)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
        "--wheel-dir", into, project, cwd=into)  # fmt: skip
    (wheel,) = into.glob("hrfs-*.whl")
    return wheel


def unpack_sdist(source: Path, into: Path) -> Path:
    """The project as the source distribution of ``source`` has it, unpacked below ``into``."""
    run(sys.executable, "setup.py", "-q", "sdist", "--dist-dir", into / "sdist", cwd=source)
    (archive,) = (into / "sdist").glob("hrfs-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(into / "unpacked", filter="data")
    (project,) = (into / "unpacked").iterdir()
    return project
