"""Finds, in the sources, what writes files past :mod:`hrfs.experiment.files`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("hrfs", "hydra_plugins")
WRITING_METHODS = {"write_text", "write_bytes", "rename", "savefig", "hardlink_to"}
WRITING_CALLS = {
    ("os", "replace"), ("os", "rename"), ("os", "link"),
    ("shutil", "copy"), ("shutil", "copy2"), ("shutil", "copyfile"), ("shutil", "copytree"),
    ("shutil", "move"), ("tempfile", "mkstemp"), ("tempfile", "NamedTemporaryFile"),
    ("torch", "save"), ("json", "dump"), ("pickle", "dump"), ("OmegaConf", "save"),
}  # fmt: skip


def writes(root: Path) -> list[str]:
    """``file: function: call`` for each call below ``root`` that writes a file by itself."""
    found = []
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            name = str(file.relative_to(root))
            tree = ast.parse(file.read_text(), name)
            found += [f"{name}: {inside}: {call}" for inside, call in _calls(tree, "module")]
    return found


def _calls(node: ast.AST, inside: str) -> Iterator[tuple[str, str]]:
    """Writing calls and the functions that they stand in."""
    for child in ast.iter_child_nodes(node):
        within = child.name if isinstance(child, ast.FunctionDef | ast.ClassDef) else inside
        if isinstance(child, ast.Call):
            call = _writing(child)
            if call:
                yield inside, call
        yield from _calls(child, within)


def _writing(call: ast.Call) -> str:
    """What a call writes by; empty if it writes nothing."""
    function = call.func
    if isinstance(function, ast.Name) and function.id == "open":
        return "open" if _opens_for_writing(call, 1) else ""
    if not isinstance(function, ast.Attribute):
        return ""
    module = function.value.id if isinstance(function.value, ast.Name) else ""
    if (module, function.attr) in WRITING_CALLS:
        return f"{module}.{function.attr}"
    if function.attr == "fdopen":
        return "os.fdopen" if _opens_for_writing(call, 1) else ""
    if function.attr == "open" and module != "os":
        return ".open" if _opens_for_writing(call, 0) else ""
    return f".{function.attr}" if function.attr in WRITING_METHODS else ""


def _opens_for_writing(call: ast.Call, at: int) -> bool:
    """Whether the mode, argument ``at`` or by name, is one to write in, or is not plain text."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    given += call.args[at : at + 1]
    if not given:
        return False
    modes = [leaf.value for leaf in ast.walk(given[0]) if isinstance(leaf, ast.Constant)]
    strings = [mode for mode in modes if isinstance(mode, str)]
    return not strings or any(set(mode) & set("wax+") for mode in strings)
