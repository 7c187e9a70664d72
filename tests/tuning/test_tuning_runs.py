"""Whole runs on real Ray nodes: placement, warm processes, exploits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Watch, make_plan, named

from hrfs.core.search_space import Hyperparameter, Uniform

pytestmark = pytest.mark.ray

RunCounter = Callable[..., Any]


def histories(scheduler: Any) -> dict[int, list[list[Any]]]:
    """What each trial's last checkpoint says of its ancestry."""
    return {
        contender.trial: json.loads((Path(contender.checkpoint) / "state.json").read_text())[
            "history"
        ]
        for contender in scheduler.contenders()
    }


def test_slices_run_on_their_nodes_in_one_process_per_worker(run_counter: RunCounter) -> None:
    plan = make_plan()
    cluster = named("fast", "middle", "slow")
    _, watch, grid = run_counter(plan, cluster, constants={"seconds": 0.002})

    names = ["fast/cpu:0", "fast/cpu:1", "middle/cpu:0", "slow/cpu:0"]
    assert [worker.name for worker in watch.workers] == names
    assert watch.iterations() == dict.fromkeys(range(6), 60)
    assert watch.ended == dict.fromkeys(range(6), "all iterations done")
    assert {record.worker for record in watch.slices} == set(names)
    assert all(record.metrics["on_node"] == 1 for record in watch.slices)
    assert len({record.metrics["pid_of"] for record in watch.slices}) <= len(names)
    assert not grid.errors
    for record in watch.slices:
        assert record.duration_s >= record.train_s >= record.iterations * 0.002
        assert record.wait_s >= 0
    busy: dict[str, float] = {}
    for record in sorted(watch.slices, key=lambda r: r.start_s):
        assert record.start_s >= busy.get(record.worker, 0.0), "two slices at once on a worker"
        busy[record.worker] = record.end_s


def test_exploit_takes_weights_and_values_together_even_with_one_checkpoint_kept(
    run_counter: RunCounter,
) -> None:
    plan = make_plan(trials=8, stop_iterations=100, interval_iterations=10)
    scheduler, watch, grid = run_counter(plan, named("fast", "middle"), num_to_keep=1)

    assert watch.exploits
    assert not grid.errors
    assert not watch.failures
    first_after = {}
    for exploit in watch.exploits:
        later = [
            s
            for s in watch.started
            if s.trial == exploit.trial and s.from_iteration == exploit.iteration
        ]
        assert later[0].hyperparameters == exploit.after
        assert 0.05 <= exploit.after["lr"] <= 2.0
        first_after[exploit.trial, exploit.iteration] = exploit
    parents = {(r.trial, r.from_iteration): r.parent for r in watch.slices if r.parent is not None}
    assert parents == {key: exploit.donor for key, exploit in first_after.items()}
    # The weights tell their own history: it must be the donor's up to the exploit.
    for trial, history in histories(scheduler).items():
        done = [record for record in watch.slices if record.trial == trial]
        last_exploit = max((r.from_iteration for r in done if r.parent is not None), default=None)
        own = [
            entry
            for entry in history
            if entry[0] == trial and (last_exploit is None or entry[1] >= last_exploit)
        ]
        since = [r for r in done if last_exploit is None or r.from_iteration >= last_exploit]
        assert [
            [r.trial, r.from_iteration, r.iterations, r.hyperparameters["lr"]] for r in since
        ] == own[-len(since) :]
        if last_exploit is not None:
            donor = first_after[trial, last_exploit].donor
            assert history[len(history) - len(since) - 1][0] == donor


def test_disk_holds_at_most_two_checkpoints_per_trial(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    watch, most = Watch(), []

    def count(record: Any) -> None:
        folders = (tmp_path / "trials").glob("trial_*")
        most.append(max(len(list(folder.glob("checkpoint_*"))) for folder in folders))

    watch.at_slice.append(count)
    plan = make_plan(trials=8, stop_iterations=100, interval_iterations=10)
    scheduler, watch, _ = run_counter(plan, named("fast", "middle"), watch=watch)
    assert watch.exploits
    # Two stay; for a moment there is one more just saved, and one just taken over.
    assert max(most) <= 4
    for folder in (tmp_path / "trials").glob("trial_*"):
        assert len(list(folder.glob("checkpoint_*"))) <= 2
    assert all(Path(c.checkpoint).exists() for c in scheduler.contenders())


def test_policy_files_can_be_read_by_rays_own_replay(
    run_counter: RunCounter, tmp_path: Path
) -> None:
    from ray.tune.schedulers import PopulationBasedTrainingReplay

    plan = make_plan(trials=8, stop_iterations=100, interval_iterations=10)
    _, watch, _ = run_counter(plan, named("fast", "middle"))
    last = watch.exploits[-1]
    (file,) = (tmp_path / "trials").glob(f"pbt_policy_*_{last.trial:05d}.txt")
    replay = PopulationBasedTrainingReplay(str(file))
    assert replay._policy[-1] == (last.donor_iteration, dict(last.after))


def test_nan_ranks_last_and_is_exploited(run_counter: RunCounter) -> None:
    constants = {"nan_trial": 0}
    space = {"lr": Hyperparameter(Uniform(0.1, 1.0), None)}
    plan = make_plan(trials=4, stop_iterations=80, search_space=space)
    _, watch, _ = run_counter(plan, named("fast"), constants=constants)
    scores = [record.score for record in watch.slices if record.trial == 0]
    assert scores
    assert all(score != score for score in scores)
    assert any(exploit.trial == 0 for exploit in watch.exploits)
    assert all(exploit.donor != 0 for exploit in watch.exploits)
    assert watch.iterations() == dict.fromkeys(range(4), 80)


@pytest.mark.parametrize("policy", ["static", "fastest_only"])
def test_other_policies_finish(run_counter: RunCounter, policy: str) -> None:
    plan = make_plan(stop_iterations=40)
    _, watch, _ = run_counter(
        plan, named("fast", "slow"), policy=policy, constants={"seconds": 0.001}
    )
    assert watch.iterations() == dict.fromkeys(range(6), 40)
    if policy == "static":
        homes = {(r.trial, r.worker) for r in watch.slices}
        assert len(homes) == 6


def test_trials_stay_within_the_staleness_that_is_allowed(run_counter: RunCounter) -> None:
    """As the records have it, in the order in which slices ended."""
    plan, limit = make_plan(stop_iterations=100), 15
    scheduler, watch, _ = run_counter(
        plan,
        named("fast", "slow"),
        policy="hrfs",
        constants={"seconds": 0.001},
        max_staleness=limit,
    )
    assert scheduler.core.settings.max_staleness_iterations == limit
    done = dict.fromkeys(range(plan.trials), 0)
    for record in watch.slices:
        done[record.trial] = record.to_iteration
        unfinished = [iteration for iteration in done.values() if iteration < 100]
        assert max(done.values()) - min(unfinished, default=100) <= limit
    assert done == dict.fromkeys(range(plan.trials), 100)


def test_a_process_start_counts_neither_as_slowness_nor_as_overhead(
    run_counter: RunCounter,
) -> None:
    constants = {"seconds": 0.01, "build_s": 1.0}
    scheduler, watch, _ = run_counter(
        make_plan(trials=3), named("middle"), policy="hrfs", constants=constants
    )
    slices = sorted(watch.slices, key=lambda record: record.slice)
    assert slices[0].wait_s > 1.0, "the planted second is a part of the first slice"
    estimate = scheduler.core.snapshot(scheduler.now_s).speeds.estimate("middle/cpu:0")
    assert 0.009 < estimate.seconds_per_iteration < 0.02
    assert estimate.overhead_s < 0.3


def test_target_stops_the_run_early(run_counter: RunCounter) -> None:
    plan = make_plan(target_score=5.0, stop_on_target=True, stop_iterations=1000)
    scheduler, watch, _ = run_counter(plan, named("fast", "middle"))
    assert scheduler.finished
    assert max(watch.iterations().values()) < 1000
    assert "the target was reached" in watch.ended.values()


def test_a_checkpoint_that_the_process_still_holds_is_not_loaded(run_counter: RunCounter) -> None:
    plan = make_plan(trials=1, stop_iterations=50)
    _, watch, _ = run_counter(plan, named("slow"))
    assert len(watch.slices) > 2
    assert all(record.load_s == 0 for record in watch.slices)


def test_observers_may_hold_what_cannot_be_pickled(run_counter: RunCounter, tmp_path: Path) -> None:
    watch = Watch()
    watch.stream = (tmp_path / "open").open("w")  # type: ignore[attr-defined]
    _, watch, _ = run_counter(make_plan(trials=2, stop_iterations=20), named("slow"), watch=watch)
    watch.stream.close()  # type: ignore[attr-defined]
    assert watch.iterations() == {0: 20, 1: 20}
