"""The figures of one population, by name, out of a run's ``summary.json``.

``best`` and ``winner`` are the best score ever seen and the last score of the winner, ``test/…``
the winner's on the test set; ``makespan_s``, ``bound_s`` (C*) and ``ratio`` (makespan / C*),
``time_to_target_s``, ``worker_h`` (hours for which slices held workers), ``utilisation``,
``iterations``, ``exploits`` and ``failures`` are those of the run. Of several populations in one
run each has its own makespan, but C*, utilisation and failures belong to the whole run, so these
are None for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SECONDS_PER_HOUR = 3600.0
LARGEST = 1e150
"""A figure beyond this, whose square no float holds, has no place in a mean."""
OF_THE_WHOLE_RUN = ("bound_s", "ratio", "utilisation", "failures")
"""What populations that trained together have only together."""
_SCORES = ("best", "winner")


@dataclass(frozen=True, slots=True)
class Population:
    """One seed of a run. ``trials`` are its first and its last."""

    seed: int
    trials: tuple[int, int]
    metrics: Mapping[str, float | None]


def check_summary(summary: Any) -> str:
    """What is wrong with something that should be a run's summary; empty if nothing is."""
    try:
        populations_of(summary)
        plan, labels = summary["plan"], summary["labels"]
        words = {"status": summary["status"], "metric": plan["metric"], "mode": plan["mode"]}
        target = plan["target_score"]
        labels.get("scheduler")
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        return repr(error)
    for name, word in words.items():
        if not isinstance(word, str):
            return f"its {name} is no word"
    return "" if target is None or number(target) is not None else "its target_score is no number"


def populations_of(summary: Mapping[str, Any]) -> list[Population]:
    """The populations of a run, one as a rule.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: ``summary`` is not that
            of a run.
    """
    several = summary.get("populations") or []
    if len(several) > 1:
        return [_one_of_several(summary, population) for population in several]
    seed = several[0]["seed"] if several else summary["seed"]
    metrics = {
        **_scores(summary),
        **_times(summary, summary),
        "bound_s": number(summary["bound_s"]),
        "ratio": number(summary["ratio"]),
        "utilisation": number(summary["utilisation"]),
        "failures": number(summary["failures"]["count"]),
    }
    return [Population(int(seed), (0, summary["plan"]["trials"] - 1), metrics)]


def _one_of_several(summary: Mapping[str, Any], population: Mapping[str, Any]) -> Population:
    first, last = population["trials"]
    nobodys: dict[str, float | None] = dict.fromkeys(OF_THE_WHOLE_RUN)
    metrics = {**_scores(population), **_times(summary, population), **nobodys}
    return Population(int(population["seed"]), (first, last), metrics)


def _scores(told: Mapping[str, Any]) -> dict[str, float | None]:
    scores = {name: number(told[name]["score"] if told[name] else None) for name in _SCORES}
    return scores | {name: number(value) for name, value in (told["test"] or {}).items()}


def _times(summary: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, float | None]:
    worker_s = number(told["worker_s"])
    times = {
        "makespan_s": number(told["makespan_s"]),
        "worker_h": None if worker_s is None else worker_s / SECONDS_PER_HOUR,
        "iterations": number(told["iterations"]),
        "exploits": number(told["exploits"]),
    }
    if summary["plan"]["target_score"] is None:
        return times
    return {"time_to_target_s": number(told["time_to_target_s"]), **times}


def number(value: Any) -> float | None:
    """``value`` if it is a number, neither infinite nor as good as that."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= LARGEST else None
