"""``environment.json``: what the run was run with. No environment variables, no secrets.

What its workers tell of themselves is added as they come, see :mod:`hrfs.reporting.worker_facts`.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import hrfs
from hrfs.experiment.files import write_atomically
from hrfs.experiment.hardware import cpu_model

PACKAGES = (
    "hrfs",
    "ray",
    "torch",
    "torchvision",
    "pytorch_lightning",
    "torchmetrics",
    "hydra-core",
    "numpy",
)
"""Distributions whose versions are told; read from their metadata, nothing is imported."""

ANSWER_WITHIN_S = 10.0
"""How long git and nvidia-smi may take; the latter needs seconds on a cold driver."""


def write_environment(path: Path) -> dict[str, Any]:
    """Write :func:`environment` to ``path`` as JSON and return it.

    Raises:
        OSError: ``path`` cannot be written (before the run, where that is worth ending it).
    """
    found = environment()
    write_atomically(path, json.dumps(found, indent=2, allow_nan=False) + "\n")
    return found


def environment() -> dict[str, Any]:
    """Versions, git state, host and devices of the driver's machine; null where unknown."""
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_versions()},
        "git": git_state(Path(hrfs.__file__).resolve().parent),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu": {
            "model": cpu_model(),
            "count": os.cpu_count(),
            "usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        },
        "gpus": gpus(),
    }


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = hrfs.__version__ if name == "hrfs" else None
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the checkout that ``folder`` belongs to, and whether it was changed since.

    None outside a checkout, without git, or where the checkout does not track ``folder`` (a
    virtual environment that lies inside some other project).
    """
    git = ("git", "-C", str(folder))
    tracked = _output([*git, "ls-files", "--error-unmatch", "__init__.py"])
    commit = _output([*git, "rev-parse", "HEAD"])
    if tracked is None or commit is None:
        return None
    changes = _output([*git, "status", "--porcelain", "--untracked-files=no"])
    return {"commit": commit.strip(), "dirty": None if changes is None else bool(changes.strip())}


def gpus() -> list[dict[str, str]]:
    """Model, memory and driver of each GPU that nvidia-smi lists; empty where it is missing."""
    fields = ("name", "memory.total", "driver_version")
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    listed = _output(query) or ""
    rows = [[cell.strip() for cell in line.split(",")] for line in listed.splitlines()]
    return [dict(zip(fields, row, strict=True)) for row in rows if len(row) == len(fields)]


def _output(command: Sequence[str]) -> str | None:
    """What ``command`` prints; None if there is no such program, it fails or takes too long."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_WITHIN_S, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout
