"""Trainables that tell on what they run; imported by workers' processes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from toys import Counter

from hrfs.experiment import pinning
from hrfs.experiment.slices import SliceRequest

pinning.CLAIM = "hrfs-toys-core-"  # beside the tests others may claim cores


class Placed(Counter):
    """Reports its CPUs, its GPU and when it ran."""

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """As ever."""
        began_s = time.monotonic()
        cpus = sorted(os.sched_getaffinity(0))
        return {
            **super().train_slice(request),
            "cpus": len(cpus),
            "first_cpu": cpus[0],
            "gpu": float(os.environ.get("CUDA_VISIBLE_DEVICES") or "nan"),
            "began_s": began_s,
            "ended_s": time.monotonic(),
        }
