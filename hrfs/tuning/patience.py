"""When a run is given up before all its trials are done."""

from __future__ import annotations

import logging

from hrfs.tuning.context import Context
from hrfs.tuning.inbound import Inbound

log = logging.getLogger("hrfs")


class Patience:
    """Ends the experiment if nothing can come of it any more."""

    def __init__(self, context: Context, inbound: Inbound) -> None:
        self._context = context
        self._inbound = inbound
        self._without_workers_s: float | None = None
        self.gave_up: str | None = None
        """Why the run was ended before all trials were done, if it was."""

    def look(self) -> None:
        """To be called in every turn."""
        reason = self._inbound.hopeless() or self._no_workers()
        if reason and not self.gave_up:
            self.gave_up = reason
            log.error("the run gives up: %s", reason)
            self._context.controller.stop_experiment()

    def _no_workers(self) -> str | None:
        now_s, wait_s = self._context.now_s, self._context.cluster.wait_s
        if self._context.pool.workers or self._context.core.finished:
            self._without_workers_s = None
        elif self._without_workers_s is None:
            self._without_workers_s = now_s
            log.warning("no worker is left; waiting %g s for one (cluster.wait_s)", wait_s)
        elif now_s - self._without_workers_s > wait_s:
            return f"no worker came back within cluster.wait_s={wait_s:g}"
        return None
