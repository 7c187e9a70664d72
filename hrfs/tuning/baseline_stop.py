"""When a run under Ray's own PBT ends: as under every other scheduler."""

from __future__ import annotations

import math
from typing import Any

from ray.tune import Stopper

from hrfs.core.pbt import merit
from hrfs.experiment.plan import Plan


class Stop(Stopper):
    """Each trial at the plan's iterations; all of them at the target, if the plan says so."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.reached = False
        """Whether a trial has reached the target that ends the run."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Tune's hook, at each result: whether this trial ends."""
        self.reached |= self._plan.stop_on_target and self._at_target(result[self._plan.metric])
        return bool(result["iterations"] >= self._plan.stop_iterations)

    def stop_all(self) -> bool:
        """Tune's hook: whether every trial ends."""
        return self.reached

    def _at_target(self, score: float) -> bool:
        target, mode = self._plan.target_score, self._plan.mode
        return (
            target is not None
            and math.isfinite(score)
            and merit(score, mode) >= merit(target, mode)
        )
