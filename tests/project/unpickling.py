"""Every call in our code that could run what a file contains, found by reading the code.

Names are followed through imports (``import pickle as p``, ``from ray import cloudpickle``), so
that a call is known by what it calls and not by how it is spelt there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("hrfs", "hydra_plugins", "benchmarks", ".ci", "setup.py")
MODULES = ("pickle", "cloudpickle", "ray.cloudpickle", "dill", "joblib", "marshal", "shelve")
LOADING = ("load", "loads", "open", "Unpickler")
"""What reads, of these modules; what they write is harmless until it is read."""
CALLS = (
    "torch.load",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "numpy.load",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "eval",
    "exec",
    "compile",
)
METHODS = ("load_from_checkpoint", "restore", "load_state_dict_from_url")
"""Lightning's and Ray Tune's own readers, on whatever object."""


def risky_calls(root: Path = ROOT) -> dict[str, int]:
    """How often each file has such a call: ``{"hrfs/x.py: pickle.loads": 1}``."""
    found: dict[str, int] = {}
    for file in _files(root):
        for name in _calls(ast.parse(file.read_text())):
            key = f"{file.relative_to(root)}: {name}"
            found[key] = found.get(key, 0) + 1
    return found


def _files(root: Path) -> Iterator[Path]:
    for part in PARTS:
        path = root / part
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def _calls(tree: ast.AST) -> Iterator[str]:
    """Full names of what is called, or derived from, and could run a file's content."""
    names = dict(_imported(tree))
    for node in ast.walk(tree):
        used: list[ast.expr] = []
        if isinstance(node, ast.Call):
            used = [node.func, *node.args]  # also a function that is handed on
        elif isinstance(node, ast.ClassDef):
            used = node.bases
        for expression in used:
            name = _dotted(expression, names)
            if name is not None and _is_risky(name):
                yield name


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        within = _dotted(node.value, names)
        return f"?.{node.attr}" if within is None else f"{within}.{node.attr}"
    return None


def _is_risky(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return (
        name in CALLS
        or (module in MODULES and last in LOADING)
        or (bool(module) and last in METHODS)
    )
