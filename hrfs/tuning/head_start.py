"""Workers' processes import what they will need while the driver is at its own start.

Ray keeps a process ready for each CPU, and has each import what it is told to preload. That is
:mod:`hrfs.tuning.preload`, which imports what the environment names, in turn with the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hrfs.experiment.process_start import import_in_turn

NAMED_BY = "HRFS_WORKER_IMPORTS"
"""Variable in the environment of Ray's processes: modules, with commas between them."""
PRELOADED = "hrfs.tuning.preload"


@contextmanager
def head_start(modules: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Arguments for a ``ray.init`` in this block, whose processes are to import ``modules``."""
    before = os.environ.get(NAMED_BY)
    os.environ[NAMED_BY] = ",".join(modules)
    try:
        yield {"_system_config": {"preload_python_modules": [PRELOADED]}} if modules else {}
    finally:
        if before is None:
            del os.environ[NAMED_BY]
        else:
            os.environ[NAMED_BY] = before


def import_named() -> None:
    """In a worker's process. Ray logs what cannot be imported; its trial will say so too."""
    import_in_turn(*filter(None, os.environ.get(NAMED_BY, "").split(",")))
