"""``summary.json``: the run in one object, made from the history alone.

``best`` is the best score that any slice ever had (of equals the first). ``winner`` is the
trial with the best last score, whose weights are kept and tested; ``test`` are its metrics on
the test set. ``makespan_s`` is last end minus first start of the finished slices. ``bound_s``
and ``ratio`` are C* (:func:`hrfs.reporting.figures.bound_s`) and makespan / C*. ``over_gpus`` is
the speed-up over the GPUs alone and its ceiling (:class:`hrfs.reporting.over_gpus.OverGpus`),
null without a GPU or without another kind. A worker's ``utilisation`` is its busy share of
the makespan, also if it came late or left early; ``utilisation`` of the run is the share of all
workers together. ``time_to_target_s`` counts from the first start. ``estimates`` says of how many
slices the seconds lay in the 80 % interval predicted from the slices before, and the median of
``|log(actual / predicted)|``. What could not be measured is null.

``failures`` counts the slices that were lost, by kind (:data:`hrfs.experiment.records.FailureKind`)
and by reason; ``diverged`` those that ended with a loss, a metric or a weight that is not finite.

``iterations`` counts each iteration of a trial once. ``rollbacks`` says how often a trial went back
since its checkpoint could not be read, how often to its very beginning (``anew``), and how many
iterations had been done in vain: those of ``workers`` and ``worker_kinds`` include them.

``request`` says under Ray's own PBT what every trial asked for, and what it was chosen from.
Of a run with several populations ``seed`` is null, and ``populations``
(:mod:`hrfs.reporting.populations`) says of each how it went; all else is about all of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hrfs.experiment.calibration import calibration
from hrfs.experiment.files import write_atomically
from hrfs.experiment.launch import Outcome
from hrfs.experiment.records import SliceRecord, WorkerInfo
from hrfs.reporting import figures
from hrfs.reporting.cells import strict
from hrfs.reporting.durable import WriteGuard
from hrfs.reporting.history import History
from hrfs.reporting.over_gpus import over_gpus
from hrfs.reporting.populations import population_summaries, told_best, told_test, told_winner
from hrfs.reporting.spread import spread

FORMAT = 1
"""Raised whenever a key of ``summary.json`` changes its meaning."""


def summarise(
    history: History, test_metrics: Mapping[str, float], outcome: Outcome | None = None
) -> dict[str, Any]:
    """The summary as plain values that strict JSON can hold.

    ``test_metrics`` are the winner's on the test set, empty if it was not tested. ``outcome``
    says how the run ended and which trial was tested; without it both are read from the
    history.
    """
    best = history.best()
    summary = {
        "format": FORMAT,
        **_ending(history, outcome),
        **_identity(history),
        "best": told_best(history, best),
        "winner": _winner(history, outcome),
        **told_test(test_metrics, outcome.reason if outcome else "", best),
        **_times(history),
        **_counts(history),
        **_populations(history, outcome),
        "request": dict(outcome.request) if outcome and outcome.request else None,
        "workers": [_worker(history, worker) for worker in history.workers.values()],
        "worker_kinds": _worker_kinds(history),
        "warnings": list(history.warnings),
    }
    plain: dict[str, Any] = strict(summary)
    return plain


def write_summary(path: Path, summary: Mapping[str, Any], history: History) -> None:
    """Write ``summary`` as strict JSON, atomically; a failed write becomes a warning."""
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    WriteGuard(path, history.warn).attempt(lambda: write_atomically(path, text))


def emulated(history: History) -> bool:
    """Whether any device is only emulated: by the plan's label or by a worker's slowdown."""
    label = str(history.plan.labels.get("cluster", ""))
    slowed = any(worker.slowdown != 1.0 for worker in history.workers.values())
    return label.startswith("emulated") or slowed


def _ending(history: History, outcome: Outcome | None) -> dict[str, Any]:
    if outcome is not None:
        return {"status": outcome.status, "reason": outcome.reason}
    over = all(trial.ended for trial in history.trials.values())
    return {"status": "finished" if over else "interrupted", "reason": ""}


def _identity(history: History) -> dict[str, Any]:
    plan = history.plan
    return {
        "cluster": plan.labels.get("cluster"),
        "emulated": emulated(history),
        "labels": dict(plan.labels),
        "seed": plan.seeds[0] if len(plan.seeds) == 1 else None,
        "seeds": list(plan.seeds),
        "plan": {
            "trials": plan.trials,
            "stop_iterations": plan.stop_iterations,
            "interval_iterations": plan.interval_iterations,
            "metric": plan.metric,
            "mode": plan.mode,
            "target_score": plan.target_score,
            "stop_on_target": plan.stop_on_target,
        },
    }


def _winner(history: History, outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is not None:
        return told_winner(history, outcome.best_trial, outcome.best_score)
    winner = history.winner()
    return told_winner(history, winner.trial, winner.last_score) if winner else None


def _populations(history: History, outcome: Outcome | None) -> dict[str, Any]:
    if len(history.plan.seeds) == 1:
        return {}
    return {"populations": population_summaries(history, outcome)}


def _times(history: History) -> dict[str, Any]:
    records, plan = history.records, history.plan
    begin_s, end_s = figures.window_s(records) if records else (0.0, 0.0)
    makespan_s = end_s - begin_s if records else None
    bound_s = figures.bound_s(records)
    busy_s = figures.busy_seconds(records)
    gained = over_gpus(records, history.kind_of)
    return {
        "makespan_s": makespan_s,
        "bound_s": bound_s,
        "ratio": makespan_s / bound_s if makespan_s is not None and bound_s else None,
        "over_gpus": asdict(gained) if gained else None,
        "utilisation": figures.utilisation(busy_s, makespan_s or 0.0, len(history.workers)),
        "worker_s": sum(busy_s.values()),
        "time_to_target_s": figures.time_to_target_s(records, plan.target_score, plan.mode),
        "estimates": _estimates(records),
    }


def _estimates(records: Sequence[SliceRecord]) -> dict[str, Any]:
    """How far the scheduler's predictions of slice times could be trusted."""
    known = calibration(records)
    return {
        "slices": known.slices,
        "inside_80_percent_interval": known.share,
        "median_error": known.median_error,
    }


def _counts(history: History) -> dict[str, Any]:
    records, plan = history.records, history.plan
    apart = spread(records, plan.trials)
    endings = Counter(t.status(plan.stop_iterations) for t in history.trials.values())
    return {
        "trials": {name: endings[name] for name in ("finished", "stopped", "error", "unfinished")},
        "slices": len(records),
        "iterations": sum(trial.iterations for trial in history.trials.values()),
        "rollbacks": {
            "count": len(history.rollbacks),
            "anew": sum(record.anew for record in history.rollbacks),
            "iterations_lost": sum(record.lost_iterations for record in history.rollbacks),
        },
        "migrations": figures.migrations(records),
        "spread": asdict(apart) if apart else None,
        "exploits": len(history.exploits),
        "failures": {
            "count": len(history.failures),
            "kinds": dict(Counter(failure.kind for failure in history.failures)),
            "reasons": dict(Counter(failure.reason for failure in history.failures)),
        },
        "diverged": figures.diverged(records),
    }


def _worker(history: History, worker: WorkerInfo) -> dict[str, Any]:
    mine = [record for record in history.records if record.worker == worker.name]
    busy_s = figures.busy_seconds(mine)
    begin_s, end_s = figures.window_s(history.records) if history.records else (0.0, 0.0)
    return {
        **asdict(worker),
        "present_at_end": worker.name in history.present,
        "slices": len(mine),
        "iterations": sum(record.iterations for record in mine),
        "busy_s": sum(busy_s.values()),
        "utilisation": figures.utilisation(busy_s, end_s - begin_s, 1),
        "iterations_per_s": figures.measured_speeds(mine).get(worker.name),
    }


def _worker_kinds(history: History) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {}
    empty = {"workers": 0, "slices": 0, "iterations": 0, "share": None, "busy_s": 0.0}
    for worker in history.workers.values():
        kinds.setdefault(worker.kind, dict(empty))["workers"] += 1
    for record in history.records:
        kind = kinds.setdefault(history.kind_of(record), dict(empty))
        kind["slices"] += 1
        kind["iterations"] += record.iterations
        kind["busy_s"] += record.duration_s
    done = sum(kind["iterations"] for kind in kinds.values())
    for kind in kinds.values():
        if done:
            kind["share"] = kind["iterations"] / done
    return kinds
