"""Reads the imports of the package and holds them against the layers.

Imports point down: command line, then tuning | simulator | training | reporting, which never
import each other, then experiment, then core. Imports inside functions count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

LAYERS = (
    {"core"},
    {"experiment"},
    {"tuning", "simulator", "training", "reporting"},
    {
        "cli",
        "simulate",
        "summary",
        "compare",
        "report",
        "loading",
        "__init__",
        "__main__",
        "hydra_plugins",
    },
)
"""From the lowest to the highest; parts of one layer are siblings."""
CONFIGURATION = {"hydra", "omegaconf"}
HEAVY = {"ray", "torch", "torchvision", "pytorch_lightning", "lightning", "hydra", "omegaconf"}
CORE_MAY_USE = {*sys.stdlib_module_names, "numpy", "hrfs", "__future__"}
IMPURE = {"time", "os", "random", "threading", "pathlib", "datetime", "secrets", "socket"}


def violations(root: Path) -> list[str]:
    """Every import below ``root`` (with ``hrfs`` and ``hydra_plugins``) that breaks a rule."""
    found = []
    for folder in ("hrfs", "hydra_plugins"):
        for file in sorted((root / folder).rglob("*.py")):
            relative = file.relative_to(root)
            part = _part(relative)
            for line, name in _imports(file, relative):
                rule = _broken_rule(part, name)
                if rule:
                    found.append(f"{relative}:{line} imports {name}: {rule}")
    return found


def _part(relative: Path) -> str:
    if relative.parts[0] == "hydra_plugins":
        return "hydra_plugins"
    return relative.parts[1].removesuffix(".py")


def _imports(file: Path, relative: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(relative.parts[: len(relative.parts) - node.level])
            base = ".".join(p for p in (package if node.level else "", node.module or "") if p)
            if base == "hrfs":
                for alias in node.names:
                    yield node.lineno, f"hrfs.{alias.name}"
            else:
                yield node.lineno, base


def _broken_rule(part: str, name: str) -> str:
    top, *rest = name.split(".")
    if top in CONFIGURATION and part not in LAYERS[-1]:
        return "only the command line and hydra_plugins know hydra and omegaconf"
    if part == "core" and (top not in CORE_MAY_USE or top in IMPURE):
        return "the core uses numpy and the pure part of the standard library"
    if part == "experiment" and top in HEAVY:
        return "experiment knows neither ray nor torch nor hydra"
    if top == "hrfs" and rest:
        return _broken_order(part, rest[0])
    return ""


def _broken_order(importer: str, imported: str) -> str:
    if imported in (importer, "__version__"):
        return ""
    own, other = _layer(importer), _layer(imported)
    if own is None or other is None:
        return f"{importer if own is None else imported} is in no layer"
    if own == other and importer not in LAYERS[-1]:
        return "siblings never import each other"
    return "imports point down" if other > own else ""


def _layer(part: str) -> int | None:
    found = [index for index, parts in enumerate(LAYERS) if part in parts]
    return found[0] if found else None
