"""``.ci/audit`` tells a hole from a missing tool, a missing network and a package index that
knows nothing. The answers of pip-audit are stand-ins in the form of pip-audit 2.10.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}
HOLE = {
    "name": "filelock",
    "version": "3.13.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.20.3"], "aliases": [], "description": "..."}],
}


def audit(folder: Path, *packages: dict[str, Any], said: str = "", code: int = 0) -> Any:
    """Run ``.ci/audit`` with a pip-audit that gives such a report, or none, and says ``said``."""
    tool = folder / "pip-audit"
    report = json.dumps({"dependencies": packages, "fixes": []})
    write = f"cat >\"$2\" <<'END'\n{report}\nEND\n" if packages else ""
    tool.write_text(
        "#!/usr/bin/env bash\n"
        'while [ "$1" != --output ]; do [ "$1" = --requirement ] && test -s "$2"; shift; done\n'
        f"{write}echo '{said}' >&2\nexit {code}\n"
    )
    tool.chmod(0o755)
    return run({"PATH": f"{folder}:{os.environ['PATH']}"})


def run(changes: dict[str, str]) -> Any:
    return subprocess.run(
        [ROOT / ".ci" / "audit"], env={**os.environ, **changes},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_holes_are_listed_and_fail(tmp_path: Path) -> None:
    done = audit(tmp_path, CLEAN, HOLE, said="Found 1 known vulnerability", code=1)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "audit: filelock 3.13.0: PYSEC-1, mended in 3.20.3",
        "audit: 1 known holes in 2 packages",
    ]


def test_a_package_of_which_nothing_is_known_is_not_called_clean(tmp_path: Path) -> None:
    done = audit(tmp_path, CLEAN, UNKNOWN)
    assert (done.returncode, done.stdout) == (
        0, "audit: 0 known holes in 1 packages, nothing known of torch\n"
    )  # fmt: skip
    done = audit(tmp_path, UNKNOWN, UNKNOWN)
    assert done.returncode == 0
    assert done.stdout == "audit: skipped: the package index here knows nothing of holes\n"


def test_without_a_network_it_is_skipped(tmp_path: Path) -> None:
    done = audit(tmp_path, said="requests.exceptions.ProxyError: Max retries exceeded", code=1)
    assert (done.returncode, done.stdout) == (0, "audit: skipped: no network\n")


def test_a_failure_of_another_kind_is_not_green(tmp_path: Path) -> None:
    done = audit(tmp_path, said="unrecognized arguments: --disable-pip", code=2)
    assert done.returncode == 1
    assert "unrecognized arguments" in done.stderr


def test_without_the_tool_it_is_skipped(tmp_path: Path) -> None:
    for name in ("bash", "env", "dirname", "mktemp", "rm"):
        (tmp_path / name).symlink_to(next(p for p in _found(name)))
    done = run({"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "audit: skipped: pip-audit is not installed\n")


def _found(name: str) -> list[Path]:
    folders = map(Path, os.environ["PATH"].split(os.pathsep))
    found = [folder / name for folder in folders if (folder / name).is_file()]
    if not found:
        pytest.fail(f"there is no {name} on the PATH")
    return found
