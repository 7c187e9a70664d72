"""Writes ``docs/configuration_reference.md`` from the schema and from ``conf/``.

Run ``python docs/tools/configuration_reference.py`` after a change of either; a test compares.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from hrfs.cli import schema
from hrfs.cli.paths import config_dir
from hrfs.training.settings import TrainerSettings

PAGE = Path(__file__).resolve().parents[1] / "configuration_reference.md"
GROUPS: Mapping[str, tuple[type[Any], ...]] = {
    "model": (),
    "dataset": (),
    "trainer": (TrainerSettings,),
    "population": (schema.PopulationConfig,),
    "scheduler": (schema.SchedulerConfig,),
    "cluster": (schema.ClusterConfig, schema.EmulatedWorkerConfig, schema.NodeAllocationConfig),
    "report": (schema.ReportConfig,),
    "experiment": (),
}
"""The groups in the order of the page, and the types of what stands in them."""
PREFIXES = {
    schema.EmulatedWorkerConfig: "cluster.emulated[0].",
    schema.NodeAllocationConfig: "cluster.allocation.<host>.",
}
HEADER = """\
# Configuration reference

Every key with its type, its default and its meaning, then the options of each group as they stand
in `conf/`. [configuration.md](configuration.md) explains how they go together. This page is made by
`python docs/tools/configuration_reference.py`.

A default of *option* means that the chosen option of the group says the value.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEADER, "## At the top\n", _table(schema.HrfsConfig, "", leave_out=(*GROUPS,))]
    for group, types in GROUPS.items():
        parts.append(f"## {group}\n")
        if group in _docs(schema.HrfsConfig) and group in ("model", "dataset"):
            parts.append(_docs(schema.HrfsConfig)[group].replace("``", "`") + "\n")
        parts += [_table(kind, PREFIXES.get(kind, f"{group}.")) for kind in types]
        parts += _options(group)
    return "\n".join(parts)


def _table(kind: type[Any], prefix: str, leave_out: tuple[str, ...] = ()) -> str:
    """A row per field of the dataclass ``kind``.

    Raises:
        KeyError: a field has no docstring.
    """
    docs = _docs(kind)
    rows = [
        f"| `{prefix}{field.name}` | {_type(field.type)} | {_default(field)} | {docs[field.name]} |"
        for field in dataclasses.fields(kind)
        if field.name not in leave_out
    ]
    text = "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])
    return text.replace("``", "`")


def _docs(kind: type[Any]) -> dict[str, str]:
    """The docstring beneath each field, on one line."""
    (body,) = [node.body for node in ast.walk(_tree(kind)) if isinstance(node, ast.ClassDef)]
    found = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            for text in _text(below):
                found[field.target.id] = " ".join(text.split())
    return found


def _tree(kind: type[Any]) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(kind)))


def _text(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield str(node.value.value)


def _type(annotation: Any) -> str:
    """A Python annotation in the words of YAML."""
    words = {
        r"\bstr\b": "text",
        r"\bint\b": "whole number",
        r"\bfloat\b": "number",
        r"\bbool\b": "true or false",
        r"\bAny\b": "anything",
        r"\bNone\b": "null",
        r"Literal\[['\"](\w+)['\"]\]": r"`\1`",
        r"\w+Config\b": "mapping",
        r"list\[([\w ]+)\]": r"list of \1",
        r"dict\[text, (.+)\]$": r"mapping to \1",
        r" \| ": " or ",
    }
    text = str(annotation)
    for pattern, word in words.items():
        text = re.sub(pattern, word, text)
    return text


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value == MISSING:
        return "*option*"
    if value is dataclasses.MISSING:
        return "`{}`" if str(field.type).startswith("dict") else "`[]`"
    shown = {None: "null", True: "true", False: "false"}
    return f"`{shown[value] if value is None or isinstance(value, bool) else value}`"


def _options(group: str) -> Iterator[str]:
    """The files of one group, each under its name."""
    for file in sorted((config_dir() / group).glob("*.yaml")):
        yield f"### {group}={file.stem}\n\n```yaml\n{file.read_text().rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
