"""The conditions of a measurement, printed beside it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def conditions(*packages: str) -> str:
    """One line: processor, cores, load before the run, Python and the named packages."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = os.getloadavg()[0]
    return (
        f"{_processor()}, {os.cpu_count()} cores, load {load:.1f} at start; "
        f"Python {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
