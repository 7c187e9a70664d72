"""The one resource request that all trials of Ray's PBT make: which there are, and the best."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hrfs.core.request import best_request, predicted_makespan_s
from hrfs.experiment.cluster import base_kind
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.plan import Plan
from hrfs.tuning.allocation import Bundle, emulated_resource

log = logging.getLogger("hrfs")

AUTO = "auto"
KEY = "scheduler.request"


class ProbeFailedError(Exception):
    """A worker could not do the probe's slices; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request, and the workers that answer it, cut down to what it asks for."""

    kind: str
    """``cpu`` or ``gpu``."""
    resources: Mapping[str, float]
    """What Tune is asked for, by Ray's names."""
    bundles: tuple[Bundle, ...]

    @property
    def name(self) -> str:
        """``{CPU: 1, GPU: 1}``."""
        amounts = ", ".join(f"{name}: {amount:g}" for name, amount in self.resources.items())
        return f"{{{amounts}}}"


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of a candidate; None where no choice had to be made, or a probe failed."""

    request: str
    kind: str
    workers: int
    iterations_per_s: float | None = None
    """Of all its workers together, evaluation included."""
    predicted_makespan_s: float | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class RequestChoice:
    """The request of a run, and what it was chosen from."""

    chosen: Candidate
    asked: str
    candidates: tuple[Assessment, ...]

    def to_dict(self) -> dict[str, Any]:
        """For ``summary.json``."""
        return {
            "asked": self.asked,
            "chosen": self.chosen.name,
            "kind": self.chosen.kind,
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }

    @property
    def told(self) -> str:
        """The choice in one line."""
        used = len(self.chosen.bundles)
        line = f"{self.chosen.name} on {used} {self.chosen.kind} worker{'s' if used > 1 else ''}"
        mine = next(c for c in self.candidates if c.request == self.chosen.name)
        if mine.predicted_makespan_s is None:
            return line
        others = [
            f"{c.request} {c.failed or f'{c.predicted_makespan_s:.4g} s'}"
            for c in self.candidates
            if c is not mine
        ]
        return f"{line} (predicted {mine.predicted_makespan_s:.4g} s; {', '.join(others)})"


def candidates(bundles: Sequence[Bundle], request: str, emulated: bool) -> list[Candidate]:
    """Every request that some worker is made for, with all workers that can answer it.

    One per kind and shape of worker. A worker of the same kind that has more of everything
    answers too, and then uses no more than it is asked for. Models of GPU are not told
    apart, as ``{"GPU": 1}`` does not. ``request`` is ``auto`` or the one kind wanted.

    Raises:
        ConfigError: no worker is of the requested kind.
    """
    by_kind: dict[str, list[Bundle]] = {}
    for bundle in bundles:
        by_kind.setdefault(base_kind(bundle.info.kind), []).append(bundle)
    if request not in (AUTO, *by_kind):
        kinds = ", ".join(sorted(by_kind))
        rule = f"no worker is of that kind; there are {kinds}"
        raise ConfigError(KEY, request, rule, "use one of these, or auto")
    found = []
    for kind, mine in by_kind.items():
        if request not in (AUTO, kind):
            continue
        shapes = {tuple(sorted(bundle.resources.items())) for bundle in mine}
        for shape in sorted(shapes):
            answering = [_cut(b, dict(shape)) for b in mine if _answers(b, dict(shape))]
            extra = {emulated_resource(kind): 1.0} if emulated else {}
            found.append(Candidate(kind, dict(shape) | extra, tuple(answering)))
    return found


def _answers(bundle: Bundle, shape: Mapping[str, float]) -> bool:
    return all(bundle.resources.get(name, 0.0) >= amount for name, amount in shape.items())


def _cut(bundle: Bundle, shape: Mapping[str, float]) -> Bundle:
    if dict(bundle.resources) == dict(shape):
        return bundle
    info = replace(bundle.info, cpus=shape.get("CPU", 0.0), gpus=shape.get("GPU", 0.0))
    share = replace(bundle.share, cpus=int(info.cpus)) if bundle.share else None
    return replace(bundle, info=info, resources=shape, share=share)


Probe = Callable[[Sequence[Bundle]], Sequence[float]]
"""Measures the seconds per iteration of each worker, evaluation included, all at work at once.
Raises :class:`ProbeFailedError`."""


def choose(plan: Plan, found: Sequence[Candidate], asked: str, probe: Probe) -> RequestChoice:
    """The candidate on which the population is predicted to be done first; probes if needed.

    Raises:
        ConfigError: no candidate's workers could do a probe.
    """
    if len(found) == 1:
        (only,) = found
        told = (Assessment(only.name, only.kind, len(only.bundles)),)
        return RequestChoice(only, asked, told)
    assessed = [_assess(plan, candidate, probe) for candidate in found]
    predicted_s = {
        a.request: a.predicted_makespan_s for a in assessed if a.predicted_makespan_s is not None
    }
    if not predicted_s:
        why = "; ".join(f"{a.request}: {a.failed}" for a in assessed)
        raise ConfigError(KEY, asked, f"no worker could do a probe slice ({why})")
    best = best_request(predicted_s)
    chosen = next(candidate for candidate in found if candidate.name == best)
    return RequestChoice(chosen, asked, tuple(assessed))


def _assess(plan: Plan, candidate: Candidate, probe: Probe) -> Assessment:
    size = len(candidate.bundles)
    try:
        seconds = probe(candidate.bundles)
    except ProbeFailedError as error:
        log.warning("the request %s is out: its probe failed: %s", candidate.name, error)
        return Assessment(candidate.name, candidate.kind, size, failed=str(error))
    predicted_s = predicted_makespan_s(
        seconds, plan.trials, plan.stop_iterations, plan.interval_iterations
    )
    log.info(
        "the request %s has %d workers, %.4g iterations/s in all, predicted makespan %.4g s",
        candidate.name, size, sum(1 / s for s in seconds), predicted_s,
    )  # fmt: skip
    speed = sum(1 / s for s in seconds)
    return Assessment(candidate.name, candidate.kind, size, speed, predicted_s)
