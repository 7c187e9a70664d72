"""When will the run be over? An estimate from measured speeds and remaining iterations."""

from __future__ import annotations

import statistics

from hrfs.core.bound import level_bound
from hrfs.reporting.history import History


def expected_remaining_s(history: History, now_s: float) -> float | None:
    """Seconds to the end: C* of the iterations that remain, on the workers present.

    Remaining iterations of a trial that has not ended: stop - done - what its running slice
    should have done by ``now_s`` (elapsed x speed of its worker, at most the slice). Speed of a
    worker: its iterations / seconds held; of one without a finished slice, the median of its
    kind; one whose kind is unknown is left out. None if no speed is known. It is a lower
    estimate for speeds that stay, and too high if the run stops at its target score.
    """
    speeds = present_speeds(history)
    if not speeds:
        return None
    return level_bound(_remaining_iterations(history, speeds, now_s), list(speeds.values()))


def present_speeds(history: History) -> dict[str, float]:
    """Iterations per second of the workers present, as far as measured or like one measured."""
    measured = history.speeds()
    by_kind: dict[tuple[str, float], list[float]] = {}
    for name, speed in measured.items():
        if name in history.workers:
            by_kind.setdefault(_like(history, name), []).append(speed)
    speeds: dict[str, float] = {}
    for name in history.workers:
        if name in history.present and name in measured:
            speeds[name] = measured[name]
        elif name in history.present and _like(history, name) in by_kind:
            speeds[name] = statistics.median(by_kind[_like(history, name)])
    return speeds


def _like(history: History, name: str) -> tuple[str, float]:
    worker = history.workers[name]
    return worker.kind, worker.slowdown


def _remaining_iterations(history: History, speeds: dict[str, float], now_s: float) -> list[float]:
    under_way: dict[int, float] = {}
    for worker, start in history.running.items():
        done = max(0.0, now_s - start.start_s) * speeds.get(worker, 0.0)
        under_way[start.trial] = min(float(start.iterations), done)
    stop = history.plan.stop_iterations
    return [
        max(0.0, stop - trial.iterations - under_way.get(trial.trial, 0.0))
        for trial in history.trials.values()
        if not trial.ended
    ]
