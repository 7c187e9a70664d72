"""Checkpoints that are damaged between two slices, on real workers: a trial falls back."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Watch, make_plan, named
from toys import Sealed

from hrfs.core.events import CheckpointLost
from hrfs.core.pbt import PbtSettings
from hrfs.experiment.checkpoint import read_checkpoint
from hrfs.experiment.event_log import EVENTS_NAME, parse_log
from hrfs.experiment.event_replay import rebuild
from hrfs.experiment.plan import Plan

pytestmark = pytest.mark.ray

RunCounter = Callable[..., Any]
PLAN = make_plan(trials=4, stop_iterations=40)
ALONE = make_plan(trials=4, stop_iterations=40, pbt=PbtSettings(quantile=0.0))
"""Nobody takes over from anybody: all that a trial's state tells of is its own."""


def run(run_counter: RunCounter, tmp_path: Path, plan: Plan, **damage: Any) -> tuple[Any, Watch]:
    """The plan under ``Sealed``, with that damage; every state on disk must be sound at the end."""
    markers = tmp_path / "markers"
    markers.mkdir()
    constants = {"damage": {"markers": str(markers)} | damage}
    scheduler, watch, _ = run_counter(
        plan, named("fast", "middle"), trainable=Sealed, constants=constants, max_failures=0
    )
    assert (markers / "damaged").exists(), "the fault never happened"
    assert scheduler.finished
    assert set(watch.ended.values()) == {"all iterations done"}
    for contender in scheduler.contenders():
        history = state_of(contender.checkpoint)["history"]
        assert history[-1][1] + history[-1][2] == 40
        own = [entry for entry in history if entry[0] == contender.trial]
        for before, after in itertools.pairwise(own):
            assert after[1] >= before[1] + before[2], "an iteration was done twice"
        assert plan is not ALONE or sum(entry[2] for entry in own) == 40
    return scheduler, watch


def state_of(folder: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(bytes(read_checkpoint(Path(folder) / "state.ckpt")))
    return state


def log_of(tmp_path: Path) -> Any:
    root = tmp_path / "trials"
    data = (root / EVENTS_NAME).read_bytes()
    return parse_log(data, EVENTS_NAME, str(root))


@pytest.mark.parametrize(
    "kind", ["flip", pytest.param("truncate", marks=pytest.mark.soak), "delete folder"]
)
def test_a_trial_falls_back_to_the_checkpoint_before(
    run_counter: RunCounter, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler, watch = run(run_counter, tmp_path, ALONE, kind=kind, trial=1, iteration=20)
    (back,) = watch.rollbacks
    (failure,) = watch.failures
    assert (back.trial, back.anew, back.donor) == (1, False, None)
    assert failure.trial == 1
    assert failure.reason.startswith("CheckpointError: ")
    assert failure.kind == "checkpoint damaged"
    # One slice was done for nothing, and the slices of the others once.
    mine = [s for s in watch.slices if s.trial == 1]
    undone, again = next(
        (one, other) for one, other in itertools.pairwise(mine) if other.slice > failure.slice
    )
    assert (undone.from_iteration, undone.to_iteration) == (back.iteration, back.from_iteration)
    assert again.from_iteration == back.iteration
    assert watch.iterations() == {0: 40, 1: 40 + back.lost_iterations, 2: 40, 3: 40}
    assert back.lost_iterations == undone.iterations
    assert scheduler.core.state.trials[1].lost_iterations == back.lost_iterations
    assert caplog.text.count("trial 1 falls back from iteration") == 1
    # The log leads to the same state.
    replayed = rebuild(log_of(tmp_path), "log", ALONE, "hrfs_paper")
    assert replayed.core.state.trials == scheduler.core.state.trials
    assert not replayed.own_failures


def test_only_without_any_sound_checkpoint_a_trial_begins_anew(
    run_counter: RunCounter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    markers = tmp_path / "markers"
    markers.mkdir()
    damage = {"kind": "flip", "trial": 1, "iteration": 20, "both": True, "markers": str(markers)}
    scheduler, watch, _ = run_counter(
        ALONE, named("fast"), trainable=Sealed, constants={"damage": damage}, max_failures=1
    )
    first, second = watch.rollbacks
    assert (first.trial, first.anew, second.trial, second.anew) == (1, False, 1, True)
    assert (second.from_iteration, second.iteration) == (first.iteration, 0)
    lost = first.lost_iterations + second.lost_iterations
    assert watch.iterations() == {0: 40, 1: 40 + lost, 2: 40, 3: 40}
    assert "trial 1 BEGINS ANEW, no older checkpoint is left" in caplog.text
    assert scheduler.finished
    assert watch.ended[1] == "all iterations done"
    # To begin anew counts as a failure, or a storage that keeps nothing would be fed for ever.
    assert rebuild(log_of(tmp_path), "log", ALONE, "hrfs_paper").own_failures == {1: 1}


def test_a_damaged_copy_of_a_donor_costs_no_iterations(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    _, watch = run(run_counter, tmp_path, PLAN, kind="flip", exploit=True)
    (back,) = watch.rollbacks
    assert back.donor is not None
    assert back.lost_iterations == 0
    exploit = next(
        x for x in watch.exploits if (x.trial, x.iteration) == (back.trial, back.iteration)
    )
    assert exploit.donor == back.donor
    again = next(
        s for s in watch.slices if s.trial == back.trial and s.from_iteration == back.iteration
    )
    assert again.parent is None, "its own weights"
    assert again.hyperparameters == exploit.after, "what was explored is kept"
    assert watch.iterations() == dict.fromkeys(range(4), 40)


def test_a_complaint_about_a_sound_checkpoint_takes_no_trial_back(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    markers = tmp_path / "markers"
    markers.mkdir()
    damage = {"kind": "complaint", "markers": str(markers)}
    _, watch, _ = run_counter(
        ALONE, named("fast"), trainable=Sealed, constants={"damage": damage}, max_failures=1
    )
    assert len(watch.failures) == 1
    assert watch.rollbacks == []
    assert watch.iterations() == dict.fromkeys(range(4), 40)
    assert not any(isinstance(entry.event, CheckpointLost) for entry in log_of(tmp_path).entries)
