"""Notes when each Python process of a run starts, imports and first trains.

Python imports a module of this name in every process, if it finds one, before anything else.
:mod:`benchmarks.startup` puts this folder on the path of a run; nothing of hrfs knows of it.
Each note is a line of JSON in the file that ``HRFS_STAMPS`` names, written in one call.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

FILE = os.environ.get("HRFS_STAMPS")
CALLS = {
    "ray": [("init", "ray.init")],
    "hrfs.tuning.population": [("fit_population", "fit")],
    "hrfs.tuning.trainable": [("SliceTrainable.setup", "setup")],
    "hrfs.training.slice_callback": [("SliceCallback.on_train_batch_start", "iteration")],
}
"""Functions whose first call is noted, by the module that defines them."""
IMPORTS = ("ray", "ray.tune", "torch", "pytorch_lightning", "hrfs.training.runner")
"""Modules whose import is noted; what they import themselves counts."""


def note(what: str, **more: object) -> None:
    """Add a line; ``at_s`` is of the system's clock, ``cpu_s`` what the process has computed."""
    line = {"at_s": time.time(), "pid": os.getpid(), "cpu_s": time.process_time(), "what": what}
    with open(str(FILE), "a") as stream:  # noqa: PTH123 - pathlib would be an import more
        stream.write(json.dumps({**line, **more}) + "\n")


def note_first_call(holder: Any, dotted: str, label: str) -> None:
    """Have the first call of a function, or of a method of a class, noted from now on."""
    *path, name = dotted.split(".")
    for part in path:
        holder = getattr(holder, part)
    function: Callable[..., Any] = getattr(holder, name)
    called = False

    @functools.wraps(function)
    def noted(*arguments: Any, **named: Any) -> Any:
        nonlocal called
        if called:
            return function(*arguments, **named)
        called = True
        note(f"{label} begins")
        try:
            return function(*arguments, **named)
        finally:
            note(f"{label} ends")

    setattr(holder, name, noted)


class Watch(MetaPathFinder):
    """Finds nothing itself, but has what the others find for a watched name noted."""

    def __init__(self) -> None:
        self._wanted = {*CALLS, *IMPORTS}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The hook of the import system."""
        if name not in self._wanted:
            return None
        self._wanted.discard(name)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _noting(name, spec.loader.exec_module)  # type: ignore[method-assign]
        return spec


def _noting(name: str, execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def noted(module: ModuleType) -> None:
        if name in IMPORTS:
            note(f"import {name} begins")
        execute(module)
        if name in IMPORTS:
            note(f"import {name} ends")
        for dotted, label in CALLS.get(name, ()):
            note_first_call(module, dotted, label)

    return noted


if FILE:
    note("process begins", command=sys.orig_argv[:6])
    atexit.register(note, "process ends")
    sys.meta_path.insert(0, Watch())
