"""Trials' processes without a runtime environment. Part of :mod:`hrfs.tuning.privates`.

Tune gives each trial's actor an environment of a few variables. Ray then starts a process of its
own for it in two steps, each of which imports Ray, and leaves those idle that it keeps ready.
Where we have started Ray, its processes have those variables from us.
"""

from __future__ import annotations

from typing import Any

import ray


class PlainActors:
    """Stands in for a controller's ``_class_cache``: an actor class for each trainable."""

    def __init__(self) -> None:
        self._classes: dict[type, Any] = {}

    def get(self, trainable_cls: type) -> Any:
        """The same class for the same trainable, since Ray keeps each that it is given."""
        if trainable_cls not in self._classes:
            self._classes[trainable_cls] = ray.remote(trainable_cls)
        return self._classes[trainable_cls]
