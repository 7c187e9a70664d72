"""A checkpoint that cannot be read: its trial goes back, and nothing is counted twice."""

from __future__ import annotations

from typing import Any

import pytest

from hrfs.core.baselines import StaticPolicy
from hrfs.core.decisions import Decision, Exploit, FinishTrial, RollBack, StartSlice
from hrfs.core.events import (
    CheckpointLost,
    SliceDone,
    SliceFailed,
    TrialAdded,
    TrialRemoved,
    WorkerJoined,
)
from hrfs.core.invariants import check
from hrfs.core.pbt import PbtSettings
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.core.state import TrialPhase

SPACE = {"lr": Hyperparameter(Uniform(0.001, 1.0), Uniform(0.0001, 1.0))}


class Run:
    """Trial i on worker ``w<i>``, 50 iterations at a time; every slice saves a checkpoint.

    The quantile is a half: the worse of two takes over the better.
    """

    def __init__(self, trials: int, **more: Any) -> None:
        settings = Settings(300, 50, search_space=SPACE, pbt=PbtSettings(quantile=0.5), **more)
        self.scheduler = Scheduler(settings, StaticPolicy())
        self.started: dict[int, StartSlice] = {}
        for trial in range(trials):
            self.note(self.scheduler.handle(TrialAdded(0.0, trial, {"lr": 0.1 + trial / 4})))
        for trial in range(trials):
            self.note(self.scheduler.handle(WorkerJoined(0.0, f"w{trial}", "cpu")))

    def note(self, decisions: list[Decision]) -> list[Decision]:
        check(self.scheduler)
        self.started |= {d.trial: d for d in decisions if isinstance(d, StartSlice)}
        return decisions

    def done(self, trial: int, score: float | None) -> list[Decision]:
        start = self.started[trial]
        name = f"{trial}@{start.from_iteration + start.iterations}"
        return self.note(self.scheduler.handle(SliceDone(1.0, start.slice, 1.0, score, name)))

    def lost(self, trial: int) -> list[Decision]:
        event = CheckpointLost(2.0, self.started[trial].slice, "SHA-256 differs")
        return self.note(self.scheduler.handle(event))


def test_a_trial_goes_back_to_the_checkpoint_before_and_does_the_rest_again() -> None:
    run = Run(1)
    for score in (0.1, 0.2, 0.3):
        run.done(0, score)
    back, again = run.lost(0)
    assert back == RollBack(
        trial=0,
        from_iteration=150,
        iteration=100,
        lost="0@150",
        checkpoint="0@100",
        donor=None,
        reason="SHA-256 differs",
    )
    assert isinstance(again, StartSlice)
    assert (again.from_iteration, again.checkpoint, again.slice) == (100, "0@100", 4)
    trial = run.scheduler.state.trials[0]
    assert (trial.iteration, trial.lost_iterations, trial.recorded_iterations) == (100, 50, 150)
    assert trial.last_score == 0.2
    assert run.scheduler.state.leader == 100
    run.done(0, 0.3)
    assert (trial.iteration, trial.lost_iterations, trial.recorded_iterations) == (150, 50, 200)


def test_only_if_the_older_one_is_damaged_too_the_trial_begins_anew() -> None:
    run = Run(1)
    for score in (0.1, 0.2, 0.3):
        run.done(0, score)
    run.lost(0)
    back, again = run.lost(0)
    assert isinstance(back, RollBack)
    assert (back.from_iteration, back.iteration, back.checkpoint) == (100, 0, None)
    assert isinstance(again, StartSlice)
    assert (again.from_iteration, again.checkpoint) == (0, None)
    trial = run.scheduler.state.trials[0]
    assert (trial.last_score, trial.last_worker, trial.lost_iterations) == (None, None, 150)


def test_the_first_checkpoint_has_the_beginning_before_it() -> None:
    run = Run(1)
    run.done(0, 0.1)
    back, _ = run.lost(0)
    assert isinstance(back, RollBack)
    assert (back.from_iteration, back.iteration, back.checkpoint) == (50, 0, None)


def test_a_slice_that_fails_otherwise_uses_up_no_checkpoint() -> None:
    run = Run(1)
    run.done(0, 0.1)
    run.done(0, 0.2)
    for _ in range(3):
        run.note(run.scheduler.handle(SliceFailed(2.0, run.started[0].slice, "raised")))
    back, _ = run.lost(0)
    assert isinstance(back, RollBack)
    assert back.checkpoint == "0@50"


def exploited() -> tuple[Run, Exploit]:
    """Trial 0 has just taken over trial 1, at iteration 100."""
    run = Run(2)
    run.done(0, 0.9)
    run.done(1, 0.5)  # as good as it gets there: nobody is before it
    run.done(1, 0.8)
    (exploit, _) = run.done(0, 0.2)
    assert isinstance(exploit, Exploit)
    return run, exploit


def test_an_exploit_whose_copy_is_damaged_costs_no_iterations() -> None:
    run, exploit = exploited()
    assert run.started[0].checkpoint == exploit.checkpoint == "1@100"
    back, again = run.lost(0)
    assert isinstance(back, RollBack)
    assert (back.from_iteration, back.iteration, back.donor) == (100, 100, 1)
    assert back.lost == "1@100"
    assert isinstance(again, StartSlice)
    assert (again.from_iteration, again.checkpoint, again.parent) == (100, "0@100", None)
    assert again.hyperparameters == exploit.after, "what was explored is kept"
    assert run.scheduler.state.trials[0].lost_iterations == 0
    # And if its own is damaged as well, nothing is left.
    back, _ = run.lost(0)
    assert isinstance(back, RollBack)
    assert (back.iteration, back.checkpoint, back.donor) == (0, None, None)


def test_a_slice_after_an_exploit_goes_back_to_the_weights_that_were_taken_over() -> None:
    run, exploit = exploited()
    run.done(0, 0.85)
    back, again = run.lost(0)
    assert isinstance(back, RollBack)
    assert (back.from_iteration, back.iteration) == (150, 100)
    assert isinstance(again, StartSlice)
    assert (again.checkpoint, again.parent) == (exploit.checkpoint, 1)
    assert again.hyperparameters == exploit.after


def test_what_the_trial_scored_later_is_forgotten() -> None:
    run = Run(2)
    run.done(1, 0.9)
    run.done(1, 0.95)
    run.lost(1)  # back to 50, from 100
    run.done(0, 0.1)  # at 50, where trial 1 still stands with 0.9
    assert run.started[0].parent == 1
    assert run.started[0].checkpoint == "1@50"
    (start,) = run.done(0, 0.1)  # at 100, where nobody stands any more
    assert isinstance(start, StartSlice)
    assert start.parent is None
    decisions = run.done(1, 0.95)  # passing 100 again is no error, and it is the better one
    assert not any(isinstance(decision, Exploit) for decision in decisions)


def test_a_population_that_has_stopped_takes_no_trial_back_into_work() -> None:
    run = Run(2, target_score=0.9, stop_on_target=True)
    run.done(0, 0.1)
    run.done(1, 0.95)
    back, end = run.lost(0)
    assert isinstance(back, RollBack)
    assert end == FinishTrial(0, "the target was reached")
    assert run.scheduler.finished


def test_what_cannot_be_is_refused() -> None:
    run = Run(1)
    with pytest.raises(ValueError, match=r"^slice 0 began from no checkpoint$"):
        run.lost(0)
    with pytest.raises(ValueError, match=r"^slice 7 is not under way$"):
        run.scheduler.handle(CheckpointLost(1.0, 7, "late"))
    run.done(0, 0.1)
    late = run.started[0].slice
    run.scheduler.handle(TrialRemoved(2.0, 0, "failed too often"))
    assert run.scheduler.state.trials[0].phase is TrialPhase.FINISHED
    with pytest.raises(ValueError, match=rf"^slice {late} is not under way$"):
        run.scheduler.handle(CheckpointLost(3.0, late, "late"))
