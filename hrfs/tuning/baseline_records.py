"""The records of a run that Ray's own scheduler decides: read off Tune's callbacks."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.result import TRAINING_ITERATION
from ray.tune.utils import flatten_dict

from hrfs.experiment.observer import RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import ExploitRecord, FailureRecord, SliceRecord
from hrfs.tuning.dispatch import TIMES, metrics_of, score_of
from hrfs.tuning.facts import FactNotes
from hrfs.tuning.population import trial_number

OFFSET_KEY = "hrfs_offset"
"""Key of a trial's config: iterations that it has itself done beyond those that Tune counts."""


class BaselineRecords(Callback):
    """Turns Tune's results into slice records, and PBT's log into exploits.

    An exploit gives the trial the donor's count with its checkpoint and the donor's offset with
    its config; here the trial gets an offset of its own (:data:`OFFSET_KEY`), before it goes on.
    """

    def __init__(self, plan: Plan, watch: RunObserver, start_s: float) -> None:
        self._plan = plan
        self._watch = watch
        self._start_s = start_s
        self._slices = 0
        self._tags: dict[str, int] = {}
        self._values: dict[int, Mapping[str, Any]] = {}
        self._done: dict[int, int] = {}
        """Iterations that each trial has itself done."""
        self._parents: dict[int, int] = {}
        self._exploits_read = 0
        self._facts = FactNotes()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles callbacks when an experiment starts; observers hold open files."""
        return {**self.__dict__, "_watch": None}

    @property
    def finished(self) -> bool:
        """Whether every trial has done the plan's iterations."""
        stop = self._plan.stop_iterations
        return sum(done >= stop for done in self._done.values()) == self._plan.trials

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._start_s

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tune's turn of the loop is over."""
        for trial in trials:
            self._tags.setdefault(str(trial.experiment_tag), trial_number(trial.trial_id))
        self._watch.on_tick(self._now_s)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A slice ended."""
        for other in trials:
            self._tags.setdefault(str(other.experiment_tag), trial_number(other.trial_id))
        number = trial_number(trial.trial_id)
        flat = flatten_dict(result)
        record = self._record(number, flat)
        self._slices += 1
        self._done[number] = record.to_iteration
        self._values[number] = record.hyperparameters
        self._watch.on_slice(record)
        if facts := self._facts.news(record.worker, flat):
            self._watch.on_worker_facts(self._now_s, record.worker, facts)
        if number in self._read_exploits(Path(trial.local_experiment_path) / "pbt_global.txt"):
            self._set_offset(trial, record.to_iteration)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial came to its stop."""
        self._watch.on_trial_end(self._now_s, trial_number(trial.trial_id), "all iterations done")

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A slice failed, and Tune tries the trial again."""
        self._watch.on_failure(
            FailureRecord(self._now_s, None, trial_number(trial.trial_id), None, "trial failed")
        )

    def _record(self, trial: int, flat: Mapping[str, Any]) -> SliceRecord:
        end_s = self._now_s
        parts = {name: float(flat.get(name, 0.0)) for name in TIMES}
        held_s = float(flat["time_this_iter_s"]) + parts["load_s"]
        done = int(flat["iterations"])
        interval = self._plan.interval_iterations
        return SliceRecord(
            slice=self._slices,
            trial=trial,
            worker=str(flat["worker"]),
            start_s=max(0.0, end_s - held_s),
            end_s=end_s,
            from_iteration=(done - 1) // interval * interval,
            to_iteration=done,
            worker_kind=str(flat["worker_kind"]),
            score=score_of(flat, self._plan.metric),
            reason="placed by Ray Tune",
            parent=self._parents.pop(trial, None),
            wait_s=max(0.0, held_s - sum(parts.values())),
            metrics=metrics_of(flat),
            hyperparameters={
                name: flat[f"config/{name}"] for name in sorted(self._plan.search_space)
            },
            **parts,
        )

    def _set_offset(self, trial: Trial, done: int) -> None:
        donors = trial.latest_checkpoint_result.metrics[TRAINING_ITERATION]
        offset = done - int(donors) * self._plan.interval_iterations
        trial.set_config({**trial.config, OFFSET_KEY: offset})

    def _read_exploits(self, log: Path) -> set[int]:
        """Lines that PBT has added: target, donor, their steps, donor's old and new config.

        Returns the exploiting trials.
        """
        if not log.exists():
            return set()
        lines = log.read_text().splitlines()
        new, self._exploits_read = lines[self._exploits_read :], len(lines)
        return {self._tell_exploit(line) for line in new}

    def _tell_exploit(self, line: str) -> int:
        target, donor_tag, _, _, _, config = json.loads(line)
        trial, donor = self._tags[target], self._tags[donor_tag]
        self._parents[trial] = donor
        self._watch.on_exploit(
            ExploitRecord(
                time_s=self._now_s,
                trial=trial,
                donor=donor,
                iteration=self._done[trial],
                donor_iteration=self._done[donor],
                before=self._values.get(trial, {}),
                after={name: config[name] for name in sorted(self._plan.search_space)},
                operations={},
            )
        )
        return trial
