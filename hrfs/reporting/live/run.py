"""The run in a few lines: how far it is, when it ends, how good the schedule was so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from hrfs.core.bound import level_bound
from hrfs.reporting.estimate import expected_remaining_s, present_speeds
from hrfs.reporting.history import History
from hrfs.reporting.live.workers import worker_state
from hrfs.reporting.words import clock, headline, share


@dataclass(frozen=True, slots=True)
class Ending:
    """Seconds from now to the end: ``least_s`` if from now on no second is wasted, ``likely_s``
    if as many are as so far.
    """

    least_s: float
    likely_s: float


def ratio_so_far(history: History, now_s: float, first_start_s: float) -> float | None:
    """Seconds since the first start over C* of the iterations done in them, or None.

    C* is taken at the speeds measured, on the workers present; what is under way counts as far
    as its worker should have come. So it is at least about 1, and too low where workers that
    have left did part of the work.
    """
    speeds = present_speeds(history)
    passed_s = now_s - first_start_s
    if not speeds or not passed_s > 0:
        return None
    done = {number: float(trial.iterations) for number, trial in history.trials.items()}
    for worker, start in history.running.items():
        under_way = max(0.0, now_s - start.start_s) * speeds.get(worker, 0.0)
        done[start.trial] += min(float(start.iterations), under_way)
    bound_s = level_bound([work for work in done.values() if work > 0], list(speeds.values()))
    return passed_s / bound_s if bound_s > 0 else None


def expected_end(history: History, now_s: float, ratio: float | None) -> Ending | None:
    """When the run will be over; None before any speed is known.

    The two ends of the range differ by what the schedule has wasted so far; how far a run may
    stop short of all iterations at its target score is not foreseen.
    """
    least_s = expected_remaining_s(history, now_s)
    if least_s is None:
        return None
    waste = max(1.0, ratio) if ratio is not None and math.isfinite(ratio) else 1.0
    return Ending(least_s, least_s * waste)


def run_view(history: History, now_s: float, first_start_s: float) -> RenderableType:
    """Three lines: what runs, how far it is and when it ends, and what happened."""
    ratio = ratio_so_far(history, now_s, first_start_s)
    lines = [
        Text(headline(history.plan), style="bold"),
        Text(_progress(history, now_s, ratio)),
        Text(_events(history, ratio)),
    ]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _progress(history: History, now_s: float, ratio: float | None) -> str:
    plan = history.plan
    whole = plan.trials * plan.stop_iterations
    done = sum(trial.iterations for trial in history.trials.values())
    end = expected_end(history, now_s, ratio)
    parts = [f"elapsed {clock(now_s)}", f"{done}/{whole} iterations, {share(done / whole)}"]
    if end is None:
        parts.append("ends in ?")
    else:
        parts.append(f"ends in {_between(clock(end.least_s), clock(end.likely_s))}")
    return "   ".join(parts)


def _between(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"


def _events(history: History, ratio: float | None) -> str:
    states = [worker_state(history, name) for name in history.present]
    best = history.best()
    score = best.score if best else None
    parts = [
        f"{states.count('trains')} of {len(states)} workers train",
        f"makespan / C* {'?' if ratio is None else f'{ratio:.2f}'}",
        f"best {history.plan.metric} {'-' if score is None else f'{score:.4f}'}",
        f"exploits {len(history.exploits)}",
        f"failures {len(history.failures)}",
    ]
    return "   ".join(parts)
