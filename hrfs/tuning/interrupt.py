"""How a run ends that the user interrupts: no new slices, and a moment for those under way."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ray import tune

from hrfs.experiment.interrupts import current

GIVE_UP_S = 3.0
"""Seconds from the signal after which slices still under way are given up; they are done again
when the run is resumed. What follows, the reports and the end of Ray, has the rest of the ten."""


def ends_soon(under_way: Collection[object]) -> bool:
    """Whether the run was interrupted and nothing more may be started.

    Raises:
        KeyboardInterrupt: it was, and nothing is ``under_way`` or that has had its time.
    """
    interrupts = current()
    if interrupts.requested and (not under_way or interrupts.for_s >= GIVE_UP_S):
        raise KeyboardInterrupt
    return interrupts.requested


class EndOnInterrupt(tune.Callback):
    """Ends an experiment whose slices are not ours to hold back, Ray's own PBT."""

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called in every turn of Tune's loop.

        Raises:
            KeyboardInterrupt: the user has interrupted the run.
        """
        ends_soon(())
