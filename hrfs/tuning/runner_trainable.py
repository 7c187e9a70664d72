"""The trainable of a run: a slice runner in a worker's process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrfs.experiment.process_start import import_in_turn, keep_for_good
from hrfs.experiment.slices import (
    EarlySaver,
    SliceRequest,
    SliceRunner,
    module_of,
    resolve_factory,
)
from hrfs.tuning.facts import as_result
from hrfs.tuning.fence import FENCE_KEY, enter
from hrfs.tuning.trainable import STATE_FILE, SliceTrainable

RUNNER_KEY = "hrfs_runner"
"""Key of the trial's config that names the runner's factory and its settings."""


class RunnerTrainable(SliceTrainable):
    """Trains by a :class:`SliceRunner`, which it builds by name in the worker's process."""

    def build(self, config: Mapping[str, Any]) -> None:
        """Build the runner: imports torch, decodes nothing yet."""
        spec = config[RUNNER_KEY]
        if FENCE_KEY in spec:
            enter(spec[FENCE_KEY])
        import_in_turn(module_of(spec["factory"]))
        self._runner: SliceRunner = resolve_factory(spec["factory"])(spec["settings"])
        keep_for_good()

    def begin(self, trial: int) -> None:
        """Fresh weights, a function of the trial's seed and number alone."""
        self._runner.begin(trial)

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """Train and evaluate; metrics at the top level, seconds beside them."""
        if isinstance(self._runner, EarlySaver):
            self._runner.save_early(self._early_file)
        result = self._runner.run(request)
        return {
            **result.metrics,
            "train_s": result.train_s,
            "evaluate_s": result.evaluate_s,
            "diverged": result.diverged,
            **as_result(result.facts),
        }

    def _early_file(self) -> Path | None:
        folder = self.early_folder()
        return None if folder is None else folder / STATE_FILE

    def save_state(self, folder: Path) -> None:
        """One file."""
        self._runner.save(folder / STATE_FILE)

    def load_state(self, folder: Path) -> None:
        """One file."""
        self._runner.load(folder / STATE_FILE)
