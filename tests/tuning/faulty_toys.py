"""Trainables whose processes come to harm; imported by workers' processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toys import Counter

from hrfs.experiment.slices import SliceRequest
from hrfs.tuning.trainable import SLICE_KEY


class Faulty(Counter):
    """Comes to harm as ``config["planted"]`` says: ``kind`` of harm in ``stage``.

    It does when its process has finished ``after`` slices, on the worker ``on`` if that is given,
    and ``times`` times in all (for ever: None), counted by files in the folder ``markers``.
    """

    finished = 0

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """Train, and then come to harm: half of the work would be lost."""
        told = super().train_slice(request)
        self._harm("train")
        self.finished += 1
        return told

    def save_state(self, folder: Path) -> None:
        """A process that dies here leaves half a file."""
        if self._is_due("save"):
            (folder / "state.json").write_text('{"history": [[0, 0')
        self._harm("save")
        super().save_state(folder)

    def load_state(self, folder: Path) -> None:
        """Inverse of ``save_state``."""
        self._harm("load")
        super().load_state(folder)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial's."""
        self._harm("reset")
        return super().reset_config(new_config)

    def _is_due(self, stage: str) -> bool:
        planted = self.config.get("planted", {})
        if planted.get("stage") != stage or self.finished < planted.get("after", 0):
            return False
        if planted.get("on", self._worker()) != self._worker():
            return False
        times = planted.get("times", 1)
        return times is None or len(list(Path(planted["markers"]).iterdir())) < times

    def _worker(self) -> str:
        return str(self.config[SLICE_KEY]["worker"]["name"])

    def _harm(self, stage: str) -> None:
        if not self._is_due(stage):
            return
        planted = self.config["planted"]
        marker = Path(planted["markers"]) / f"{os.getpid()}-{time.monotonic_ns()}"
        marker.write_text(self._worker())
        if planted["kind"] == "raise":
            raise RuntimeError(f"planted on {self._worker()}")
        if planted["kind"] == "sleep":
            time.sleep(3600.0)
        else:
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[planted["kind"]])


class Tiring(Counter):
    """Becomes ``config["slower"]`` times slower on worker ``config["on"]``, for good.

    After ``config["after"]`` slices there; a file in ``config["markers"]`` remembers.
    """

    finished = 0

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """At the pace that the worker has."""
        if request.worker.name == self.config["on"]:
            tired = Path(self.config["markers"]) / "tired"
            self.finished += 1
            if self.finished > self.config["after"]:
                tired.write_text("for good")
            if tired.exists():
                more = self.config["slower"] - 1
                time.sleep(more * request.iterations * self.config["seconds"])
        return super().train_slice(request)
