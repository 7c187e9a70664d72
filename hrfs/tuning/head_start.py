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
KEPT_IDLE_S = 60.0
"""For which Ray keeps a process that has no work yet."""


@contextmanager
def head_start(modules: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Arguments for a ``ray.init`` in this block, whose processes are to import ``modules``."""
    before = os.environ.get(NAMED_BY)
    os.environ[NAMED_BY] = ",".join(modules)
    try:
        yield {"_system_config": _system_config()} if modules else {}
    finally:
        if before is None:
            del os.environ[NAMED_BY]
        else:
            os.environ[NAMED_BY] = before


def _system_config() -> dict[str, Any]:
    """Ray's own settings: what is preloaded, and for how long processes are kept without work.

    Once all cores are reserved for trials, Ray ends what has been idle for a second, unless told
    otherwise, before it starts the trials' actors; these then get new processes, which wait for
    their turn to import behind those that were ended and go on all the same.
    """
    return {
        "preload_python_modules": [PRELOADED],
        "idle_worker_killing_time_threshold_ms": round(1000 * KEPT_IDLE_S),
    }


def import_named() -> None:
    """In a worker's process. Ray logs what cannot be imported; its trial will say so too."""
    import_in_turn(*filter(None, os.environ.get(NAMED_BY, "").split(",")))
