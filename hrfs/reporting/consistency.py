"""Do the slices and the summary of a run tell the same story?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from hrfs.experiment.records import SliceRecord

TOLERANCE_S = 1e-6
"""Seconds by which two slices may overlap or two sums differ through rounding."""


def check_consistency(records: Sequence[SliceRecord], summary: Mapping[str, Any]) -> list[str]:
    """What does not fit, one line each; empty if all is well.

    The figures are counted here anew, plainly, and not by the code that made the summary.
    """
    return [
        *_chain_of_each_trial(records, summary),
        *_one_at_a_time(records, "worker"),
        *_one_at_a_time(records, "trial"),
        *_sums(records, summary),
        *_best(records, summary),
        *_winner(records, summary),
        *_populations(records, summary),
    ]


def _chain_of_each_trial(records: Sequence[SliceRecord], summary: Mapping[str, Any]) -> list[str]:
    wrong: list[str] = []
    at: dict[int, int] = {}
    ends = defaultdict[int, set[int]](lambda: {0})
    repeated = 0
    for record in sorted(records, key=lambda r: (r.trial, r.start_s, r.slice)):
        reached = at.get(record.trial, 0)
        if record.from_iteration < reached and record.from_iteration in ends[record.trial]:
            repeated += reached - record.from_iteration  # it fell back to an older checkpoint
        elif record.from_iteration != reached:
            wrong.append(
                f"slice {record.slice} of trial {record.trial} begins at iteration "
                f"{record.from_iteration}, but the trial had reached {reached}"
            )
        if record.iterations <= 0:
            wrong.append(f"slice {record.slice} did {record.iterations} iterations")
        at[record.trial] = record.to_iteration
        ends[record.trial].add(record.to_iteration)
    stop = summary["plan"]["stop_iterations"]
    finished = sum(reached >= stop for reached in at.values())
    if finished != summary["trials"]["finished"]:
        wrong.append(f"{finished} trials reached {stop}, summary {summary['trials']['finished']}")
    lost = _lost(summary)
    if repeated > lost:
        wrong.append(f"{repeated} iterations were done twice, summary {lost}")
    if len({record.slice for record in records}) != len(records):
        wrong.append("two slices have the same number")
    return wrong


def _lost(summary: Mapping[str, Any]) -> int:
    """Iterations done in vain; summaries of older versions do not tell of any."""
    lost: int = summary.get("rollbacks", {}).get("iterations_lost", 0)
    return lost


def _one_at_a_time(records: Sequence[SliceRecord], who: str) -> list[str]:
    wrong: list[str] = []
    free_s: dict[Any, float] = {}
    for record in sorted(records, key=lambda r: (r.start_s, r.slice)):
        key = getattr(record, who)
        if record.start_s < free_s.get(key, -math.inf) - TOLERANCE_S:
            wrong.append(f"slice {record.slice} begins while {who} {key} is in another slice")
        if record.end_s < record.start_s:
            wrong.append(f"slice {record.slice} ends before it begins")
        free_s[key] = max(record.end_s, free_s.get(key, -math.inf))
    return wrong


def _sums(records: Sequence[SliceRecord], summary: Mapping[str, Any]) -> list[str]:
    iterations = sum(record.to_iteration - record.from_iteration for record in records)
    pairs: list[tuple[str, float, float | None]] = [
        ("slices", len(records), summary["slices"]),
        ("iterations", iterations, summary["iterations"] + _lost(summary)),
        ("worker_s", sum(r.end_s - r.start_s for r in records), summary["worker_s"]),
        ("kinds", iterations, sum(k["iterations"] for k in summary["worker_kinds"].values())),
        ("listed workers", iterations, sum(w["iterations"] for w in summary["workers"])),
        ("busy", summary["worker_s"], sum(w["busy_s"] for w in summary["workers"])),
    ]
    if records:
        makespan_s = max(r.end_s for r in records) - min(r.start_s for r in records)
        pairs.append(("makespan_s", makespan_s, summary["makespan_s"]))
    return _unequal(pairs)


def _unequal(pairs: Sequence[tuple[str, float, float | None]]) -> list[str]:
    """Pairs of (name, as counted, as told) that differ."""
    return [
        f"{name}: slices say {counted!r}, summary {told!r}"
        for name, counted, told in pairs
        if told is None or not math.isclose(counted, told, rel_tol=1e-9, abs_tol=TOLERANCE_S)
    ]


def _best(records: Sequence[SliceRecord], summary: Mapping[str, Any]) -> list[str]:
    scores = [r.score for r in records if r.score is not None and math.isfinite(r.score)]
    told = summary["best"]
    if not scores:
        return [] if told is None else [f"best is {told}, but no slice has a score"]
    chosen = max(scores) if summary["plan"]["mode"] == "max" else min(scores)
    if told is None or told["score"] != chosen:
        return [f"best score is {chosen!r}, summary {told!r}"]
    match = [r for r in records if r.score == chosen]
    first = min(match, key=lambda r: (r.end_s, r.slice))
    if told["trial"] != first.trial:
        return [f"best trial is {first.trial}, summary {told['trial']}"]
    return []


def _winner(records: Sequence[SliceRecord], summary: Mapping[str, Any]) -> list[str]:
    last: dict[int, float] = {}
    for record in sorted(records, key=lambda r: (r.start_s, r.slice)):
        if record.score is not None:
            last[record.trial] = record.score
    told = summary["winner"]
    if told is None or told["trial"] not in last:
        return [] if told is None else [f"winner is {told}, but its slices have no score"]
    if last[told["trial"]] != told["score"]:
        return [f"winner's last score is {last[told['trial']]!r}, summary {told!r}"]
    sign = 1 if summary["plan"]["mode"] == "max" else -1
    better = [
        t for t, s in sorted(last.items()) if math.isfinite(s) and sign * (s - told["score"]) > 0
    ]
    return [f"trials {better} end better than the winner {told['trial']}"] if better else []


def _populations(records: Sequence[SliceRecord], summary: Mapping[str, Any]) -> list[str]:
    """Of several populations: each by its own slices, and all together the whole run."""
    populations = summary.get("populations", [])
    if len(populations) < 2:
        return (
            [] if summary["seeds"] == [summary["seed"]] else ["seed is not the only one of seeds"]
        )
    wrong = []
    if [told["seed"] for told in populations] != summary["seeds"]:
        wrong.append(f"seeds are {summary['seeds']}, populations {populations}")
    numbers = [n for told in populations for n in range(told["trials"][0], told["trials"][1] + 1)]
    if numbers != list(range(summary["plan"]["trials"])):
        wrong.append(f"populations do not share out the {summary['plan']['trials']} trials")
    for told in populations:
        wrong += [f"seed {told['seed']}: {line}" for line in _population(records, told, summary)]
    taken = sum(told["exploits"] for told in populations)
    if taken != summary["exploits"]:
        wrong.append(f"populations took {taken} exploits, summary {summary['exploits']}")
    return wrong


def _population(
    records: Sequence[SliceRecord], told: Mapping[str, Any], summary: Mapping[str, Any]
) -> list[str]:
    first, last = told["trials"]
    mine = [record for record in records if first <= record.trial <= last]
    own = {**told, "plan": summary["plan"]}
    strangers = [r.slice for r in mine if r.parent is not None and not first <= r.parent <= last]
    wrong = [f"slices {strangers} began with another population's weights"] if strangers else []
    done = sum(record.to_iteration - record.from_iteration for record in mine)
    pairs: list[tuple[str, float, float | None]] = [
        ("iterations", done, told["iterations"] + told.get("iterations_lost", 0)),
        ("worker_s", sum(r.end_s - r.start_s for r in mine), told["worker_s"]),
    ]
    if mine:
        makespan_s = max(r.end_s for r in mine) - min(r.start_s for r in mine)
        pairs.append(("makespan_s", makespan_s, told["makespan_s"]))
    return [*wrong, *_unequal(pairs), *_best(mine, own), *_winner(mine, own)]
