"""What a run under chaos must keep, one check for each promise, from its files alone."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chaos.log import reached
from benchmarks.chaos.losses import attribute
from benchmarks.chaos.run import Run
from benchmarks.chaos.runner import iteration_of
from benchmarks.chaos.settings import Settings
from benchmarks.chaos.torment import STATE
from hrfs.experiment.checkpoint import CheckpointError
from hrfs.experiment.records import SLICE_COLUMNS
from hrfs.reporting import check_consistency, read_slices

Broken = list[str]


@dataclass(frozen=True, slots=True)
class Check:
    """A promise, and each way in which it was broken."""

    promise: str
    broken: Broken


def judge(run: Run, settings: Settings) -> list[Check]:
    """All checks; what cannot be read breaks its check."""
    return [Check(promise, _safely(look, run, settings)) for promise, look in CHECKS.items()]


def _safely(look: Callable[[Run, Settings], Broken], run: Run, settings: Settings) -> Broken:
    try:
        return look(run, settings)
    except (OSError, ValueError, KeyError) as error:  # a file that is missing or damaged
        return [f"{type(error).__name__}: {error}"]


def _ended_well(run: Run, _: Settings) -> Broken:
    broken = [run.trouble] if run.trouble else []
    if run.code != 0:
        broken.append(f"exit code {run.code}")
    status = _summary(run)["status"]
    return broken if status == "finished" else [*broken, f"summary.json: {status}"]


def _all_kills(run: Run, settings: Settings) -> Broken:
    done, wanted = len(run.kills), settings.kills
    return [] if done == wanted else [f"{done} of {wanted} kills happened"]


def _population(run: Run, settings: Settings) -> Broken:
    with (run.folder / "trials.csv").open() as stream:
        listed = sorted(int(row["trial"]) for row in csv.DictReader(stream))
    broken = [] if listed == list(range(settings.trials)) else [f"trials.csv lists {listed}"]
    finished = _summary(run)["trials"]["finished"]
    return broken + ([] if finished == settings.trials else [f"{finished} trials finished"])


def _at_the_stop(run: Run, settings: Settings) -> Broken:
    at = {trial: reached(run.log.story.get(trial, [])) for trial in range(settings.trials)}
    return [
        f"trial {trial} ended at iteration {iteration}"
        for trial, iteration in at.items()
        if iteration != settings.stop_iterations
    ]


def _chains(run: Run, _: Settings) -> Broken:
    """Each slice begins where the one before ended. Each damaged checkpoint takes back one."""
    broken = []
    for trial, steps in run.log.story.items():
        ends, may_go_back = [0], 0
        for step in steps:
            if step is None:
                may_go_back += 1
                continue
            begin, end = step
            while begin != ends[-1] and may_go_back and len(ends) > 1:
                ends.pop()
                may_go_back -= 1
            if begin != ends[-1] or end <= begin:
                broken.append(f"trial {trial}, at {ends[-1]}, went from {begin} to {end}")
            ends.append(end)
            may_go_back = 0
    return broken


def _not_to_zero(run: Run, _: Settings) -> Broken:
    return [
        f"trial {trial} began {begun} times"
        for trial, steps in run.log.story.items()
        if (begun := sum(step is not None and step[0] == 0 for step in steps)) > 1
    ]


def _log_and_files(run: Run, _: Settings) -> Broken:
    rows = read_slices(run.folder / "slices.csv")
    in_file = [tuple(getattr(row, column) for column in SLICE_COLUMNS) for row in rows]
    in_log = [tuple(record[column] for column in SLICE_COLUMNS) for record in run.log.records]
    numbers = [row.slice for row in rows]
    broken = [f"slice {n} is there {k} times" for n, k in Counter(numbers).items() if k > 1]
    if in_file != in_log:
        differ = sorted(set(in_file) ^ set(in_log))
        broken.append(f"slices.csv and the log differ in {differ[:3] or 'their order'}")
    return broken


def _summary_agrees(run: Run, _: Settings) -> Broken:
    return check_consistency(read_slices(run.folder / "slices.csv"), _summary(run))


def _failures_recorded(run: Run, _: Settings) -> Broken:
    told, lost = _summary(run)["failures"]["count"], len(run.log.losses)
    broken = [] if told == lost else [f"the log has {lost} lost slices, the summary {told}"]
    resumes = sum(w.startswith("resumed after ") for w in _summary(run)["warnings"])
    wanted = sum(kill.kind == "cluster" for kill in run.kills)
    # The last driver alone writes the summary: of several resumes it tells its own.
    if bool(resumes) != bool(wanted):
        broken.append(f"resumed {wanted} times, the summary tells of {resumes}")
    return broken


def _one_slice_for_each_kill(run: Run, _: Settings) -> Broken:
    return attribute(run).broken


def _work_was_done(run: Run, settings: Settings) -> Broken:
    """Each iteration that counts was really done, and no more were lost than those slices had."""
    whole, limit = settings.trials * settings.stop_iterations, attribute(run).iterations
    if run.steps < whole:
        return [f"{run.steps} optimizer steps were done for {whole} iterations"]
    lost = run.steps - whole
    return [] if lost <= limit else [f"{lost} iterations were lost, the slices had {limit}"]


def _states(run: Run, settings: Settings) -> Broken:
    broken = []
    for trial in range(settings.trials):
        folder = run.folder / "trials" / f"trial_{trial:02d}"
        kept = sorted(path for path in folder.glob("checkpoint_*") if (path / STATE).exists())
        if not 1 <= len(kept) <= 2:
            broken.append(f"trial {trial} has {len(kept)} checkpoints")
            continue
        try:
            at = iteration_of(run.folder / "trials" / run.log.newest[trial] / STATE)
        except CheckpointError as error:
            broken.append(str(error))
            continue
        if at != settings.stop_iterations:
            broken.append(f"the last state of trial {trial} is at iteration {at}")
    return broken


def _hung_are_ended(run: Run, _: Settings) -> Broken:
    return [f"{run.still_hung} stopped processes are there still"] if run.still_hung else []


def _summary(run: Run) -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads(Path(run.folder / "summary.json").read_text())
    return told


CHECKS: dict[str, Callable[[Run, Settings], Broken]] = {
    "the run finishes, exit code 0": _ended_well,
    "every kill happened": _all_kills,
    "the population has its size, all trials finished": _population,
    "every trial is at its stop": _at_the_stop,
    "no iteration is counted twice, none is missing": _chains,
    "no trial goes back to zero": _not_to_zero,
    "slices.csv and the event log agree": _log_and_files,
    "summary.json agrees with slices.csv": _summary_agrees,
    "each lost slice is in the summary": _failures_recorded,
    "a kill costs at most the slice under way on each worker it hit": _one_slice_for_each_kill,
    "iterations were done that count, and lost only from those slices": _work_was_done,
    "each trial's last state is whole, and kept with at most one other": _states,
    "processes that hang are ended": _hung_are_ended,
}
