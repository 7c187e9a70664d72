"""How fast a worker trains: two short slices of the real runner on the worker's own bundle.

They run before the clock of the run starts, in processes of their own that end with them, and
write nothing: no trial has a trace of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hrfs.experiment.cores import CoreShare
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import RunnerSpec
from hrfs.experiment.pinning import Pinning
from hrfs.experiment.plan import Plan
from hrfs.experiment.slices import SliceRequest, SliceRunner, resolve_factory
from hrfs.tuning.allocation import Bundle, emulated_resource
from hrfs.tuning.request import ProbeFailedError

log = logging.getLogger("hrfs")

WARM_ITERATIONS = 3
"""Untimed: the first iterations of a process allocate, tune and decode."""
TIMED_S = 2.0
"""About how long the timed slice is to be, by the pace of the untimed one."""
LEAST_TIMED_ITERATIONS = 3


@dataclass(frozen=True, slots=True)
class RunnerProbe:
    """A :data:`~hrfs.tuning.request.Probe` by the runner that will train the trials."""

    plan: Plan
    runner: RunnerSpec
    emulated: bool
    start_within_s: float
    """How long the processes may take to start; other jobs may hold the workers."""

    def __call__(self, bundles: Sequence[Bundle]) -> list[float]:
        """Seconds per iteration of each worker; workers that are alike are measured once.

        The unlike ones train at the same time, as they will.

        Raises:
            ConfigError: the runner refuses its settings.
            ProbeFailedError: a process did not start, or died, or its training failed.
        """
        unlike: dict[Hashable, Bundle] = {}
        for bundle in bundles:
            unlike.setdefault(_likeness(bundle), bundle)
        log.info("probing %s", ", ".join(bundle.info.name for bundle in unlike.values()))
        try:
            with self._processes(list(unlike.values())) as processes:
                measured = dict(zip(unlike, self._measure(processes), strict=True))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ConfigError):
                raise error.cause from None
            raise ProbeFailedError(_last_line(error)) from error
        except ray.exceptions.GetTimeoutError as error:
            why = f"its processes did not start within {self.start_within_s:g} s"
            raise ProbeFailedError(why) from error
        except ray.exceptions.RayError as error:
            raise ProbeFailedError(_last_line(error)) from error
        return [measured[_likeness(bundle)] for bundle in bundles]

    @contextmanager
    def _processes(self, bundles: Sequence[Bundle]) -> Iterator[list[Any]]:
        started = []
        try:
            for bundle in bundles:
                kind = emulated_resource(bundle.info.kind)
                actor = ray.remote(_Prober).options(
                    num_cpus=bundle.resources.get("CPU", 0),
                    num_gpus=bundle.resources.get("GPU", 0),
                    resources={kind: 1.0} if self.emulated else None,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(bundle.node_id, soft=False),
                )
                request = SliceRequest(
                    slice=0,
                    trial=0,
                    from_iteration=0,
                    iterations=WARM_ITERATIONS,
                    worker=bundle.info,
                    hyperparameters=self.plan.initial_hyperparameters(0),
                )
                settings = dict(self.runner.settings)
                started.append(actor.remote(self.runner.factory, settings, request, bundle.share))
            yield started
        finally:
            for process in started:
                ray.kill(process)

    def _measure(self, processes: Sequence[Any]) -> list[float]:
        ray.get([process.ready.remote() for process in processes], timeout=self.start_within_s)
        paces_s = ray.get([process.warm_up.remote() for process in processes])
        interval = self.plan.interval_iterations
        wanted = [timed_iterations(pace_s, interval) for pace_s in paces_s]
        timed = [p.time.remote(n) for p, n in zip(processes, wanted, strict=True)]
        return [
            train_s / iterations + evaluate_s / interval
            for iterations, (train_s, evaluate_s) in zip(wanted, ray.get(timed), strict=True)
        ]


def timed_iterations(pace_s: float, interval: int) -> int:
    """About :data:`TIMED_S` of iterations of ``pace_s`` each, but no more than an interval."""
    wanted = math.ceil(TIMED_S / max(pace_s, 1e-6))
    return max(LEAST_TIMED_ITERATIONS, min(wanted, interval))


def _likeness(bundle: Bundle) -> Hashable:
    """What makes two workers equally fast: node, kind, resources and emulated slowness."""
    resources = tuple(sorted(bundle.resources.items()))
    return bundle.node_id, bundle.info.kind, resources, bundle.info.cpus, bundle.info.slowdown


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


class _Prober:
    """Lives in a process of its own on the worker's bundle; a Ray actor."""

    def __init__(
        self,
        factory: str,
        settings: Mapping[str, Any],
        request: SliceRequest,
        share: CoreShare | None,
    ) -> None:
        self._pinning = Pinning()
        self._pinning.take(share)
        self._runner: SliceRunner = resolve_factory(factory)(settings)
        self._warm = request

    def ready(self) -> bool:
        """The process has started."""
        return True

    def warm_up(self) -> float:
        """The untimed slice, which an emulated worker does at full speed; gives its pace.

        Seconds per iteration, the emulated slowness counted in.
        """
        worker = self._warm.worker
        request = replace(self._warm, worker=replace(worker, slowdown=1.0))
        self._runner.begin(request.trial)
        return worker.slowdown * self._runner.run(request).train_s / request.iterations

    def time(self, iterations: int) -> tuple[float, float]:
        """The timed slice: seconds of training and of evaluation."""
        done = self._warm.iterations
        request = replace(self._warm, slice=1, from_iteration=done, iterations=iterations)
        result = self._runner.run(request)
        return result.train_s, result.evaluate_s
