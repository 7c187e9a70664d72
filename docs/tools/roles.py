"""Docstrings as the API pages show them: Sphinx's roles become code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|data|mod|attr|exc):`~?([\w.]+)`")


class Roles(griffe.Extension):
    """Turns ``:class:`~package.module.Name``` into the name alone, as code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of whatever was loaded."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_code, obj.docstring.value)


def _code(role: re.Match[str]) -> str:
    return f"`{role[1].removeprefix('hrfs.')}`"
