"""At most two checkpoints per trial: the one it goes on from, and the one before."""

from __future__ import annotations

import logging

from hrfs.tuning.context import Context
from hrfs.tuning.privates import keep_only

log = logging.getLogger("hrfs")

KEPT_PER_TRIAL = 2


class Retention:
    """Deletes what nothing refers to any more.

    Tune's ``num_to_keep`` will not do: it deletes by its own, older snapshots, so that a
    restored trial finds its checkpoint gone.
    """

    def __init__(self) -> None:
        self._kept: dict[int, list[str]] = {}

    def apply(self, context: Context) -> None:
        """Look at every trial's present checkpoint; call after the state was written."""
        for number, known in context.core.state.trials.items():
            path = context.memory.exploits.path_for(number, known.checkpoint)
            kept = self._kept.setdefault(number, [])
            if path is None or path in kept:
                continue
            kept.append(path)
            del kept[:-KEPT_PER_TRIAL]
            keep_only(context.trials[number], kept)
