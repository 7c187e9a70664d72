"""Writing a shaped learning rate into an optimizer, step by step, and taking it out again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hrfs.experiment.errors import ConfigError
from hrfs.training.lr_shapes import CONSTANT, LrShape

LR = "lr"
"""The key of a parameter group; torch's optimizers all have it."""


class ShapedRate:
    """Lives for one slice, between the moment the hyperparameters are written and its end.

    The optimizer's groups may have rates of their own, as they do where ``lr`` is not among a
    trial's hyperparameters: each is multiplied by the same factor.
    """

    def __init__(self, shape: LrShape, groups: Iterable[dict[str, Any]]) -> None:
        """
        Args:
            groups: parameter groups of the optimizers, with the trial's values in them.

        Raises:
            ConfigError: none of them has a learning rate.
        """
        self._shape = shape
        self._peaks = [(group, group[LR]) for group in groups if LR in group]
        self._factor: float | None = None
        if not self._peaks:
            raise ConfigError(
                "trainer.lr_schedule",
                shape.name,
                f"needs an optimizer with {LR} in a parameter group",
                f"set it to {CONSTANT}",
            )

    @property
    def last(self) -> float | None:
        """What the first group was given last; None before the first step."""
        return None if self._factor is None else float(self._peaks[0][1] * self._factor)

    def write(self, iteration: int) -> None:
        """Give every group its rate of ``iteration``, counted over the trial's life."""
        self._factor = self._shape.factor(iteration)
        for group, peak in self._peaks:
            group[LR] = peak * self._factor

    def put_back(self) -> None:
        """Give every group its peak again: that is what a checkpoint holds."""
        for group, peak in self._peaks:
            group[LR] = peak
