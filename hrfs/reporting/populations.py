"""What ``summary.json`` says of each population of a run that has several.

A population is known by its seed, and its trials are those from the first to the last number in
``trials``. ``makespan_s`` is last end minus first start of its own slices, and
``time_to_target_s`` counts from that start; ``worker_s`` is the time for which its slices held
workers. C*, utilisation and the like belong to the run as a whole, whose workers all
populations share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hrfs.experiment.launch import Outcome
from hrfs.experiment.records import SliceRecord
from hrfs.reporting.figures import busy_seconds, time_to_target_s, window_s
from hrfs.reporting.history import History


def population_summaries(history: History, outcome: Outcome | None) -> list[dict[str, Any]]:
    """One object per population, in the order of the plan's seeds."""
    return [_population(history, number, outcome) for number in range(len(history.plan.seeds))]


def told_best(history: History, best: SliceRecord | None) -> dict[str, Any] | None:
    """The slice with the best score, as the summary tells it."""
    if best is None:
        return None
    return {
        "trial": best.trial,
        **_seed(history, best.trial),
        "score": best.score,
        "iteration": best.to_iteration,
        "slice": best.slice,
        "worker": best.worker,
        "end_s": best.end_s,
        "hyperparameters": dict(best.hyperparameters),
    }


def told_winner(history: History, trial: int | None, score: float | None) -> dict[str, Any] | None:
    """A winner and its last score, as the summary tells them."""
    if trial is None:
        return None
    known = history.trials[trial]
    return {
        "trial": trial,
        **_seed(history, trial),
        "score": score,
        "iteration": known.iterations,
        "hyperparameters": dict(known.hyperparameters),
    }


def told_test(
    test_metrics: Mapping[str, float], reason: str, best: SliceRecord | None
) -> dict[str, Any]:
    """Test metrics, or why there are none; ``best`` is None if no trial has a finite score."""
    if test_metrics:
        return {"test": dict(test_metrics), "test_reason": None}
    unsaid = "the winner was not tested" if best else "no trial has a finite score"
    return {"test": None, "test_reason": reason or unsaid}


def _seed(history: History, trial: int) -> dict[str, int]:
    """Which population a trial is of, where there are several."""
    populations = history.plan.populations
    return {"seed": populations.identity(trial)[0]} if len(populations) > 1 else {}


def _population(history: History, number: int, outcome: Outcome | None) -> dict[str, Any]:
    plan = history.plan
    members = plan.populations.members(number)
    records = [record for record in history.records if record.trial in members]
    begin_s, end_s = window_s(records) if records else (0.0, 0.0)
    ended = outcome.populations[number] if outcome and outcome.populations else None
    best, winner = history.best(number), history.winner(number)
    trial = ended.best_trial if ended else winner.trial if winner else None
    score = ended.best_score if ended else winner.last_score if winner else None
    trials = [history.trials[member] for member in members]
    return {
        "seed": plan.seeds[number],
        "trials": [members[0], members[-1]],
        "best": told_best(history, best),
        "winner": told_winner(history, trial, score),
        **told_test(ended.test_metrics if ended else {}, ended.reason if ended else "", best),
        "makespan_s": end_s - begin_s if records else None,
        "time_to_target_s": time_to_target_s(records, plan.target_score, plan.mode),
        "worker_s": math.fsum(busy_seconds(records).values()),
        "iterations": sum(trial.iterations for trial in trials),
        "iterations_lost": sum(trial.lost_iterations for trial in trials),
        "exploits": sum(trial.exploits_taken for trial in trials),
        "failures": sum(trial.failures for trial in trials),
    }
