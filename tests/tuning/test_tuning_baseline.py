"""Ray's own PBT on the same runner, through the same entry as every other scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import ONE_CPU, Watch, make_plan

from hrfs.core.pbt import PbtSettings
from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import RunnerSpec, SchedulerChoice

pytestmark = pytest.mark.ray

RUNNER = RunnerSpec("toys:build_adder", {"seconds": 0.002}, final="toys:final_adder")


@pytest.mark.parametrize("policy", ["ray_pbt", "hrfs"])
def test_an_experiment_from_start_to_winner(ray_cluster: Any, tmp_path: Path, policy: str) -> None:
    from hrfs.tuning.run import run_experiment

    half = PbtSettings(quantile=0.5)  # so that whatever comes first, some trial exploits
    plan = make_plan(trials=6, stop_iterations=50, interval_iterations=10, pbt=half)
    cluster = ClusterSettings(
        mode="address",
        address=ray_cluster.address,
        allocation=dict.fromkeys(("fast", "slow"), ONE_CPU),
        default_allocation=None,
    )
    watch = Watch()
    outcome = run_experiment(
        plan, SchedulerChoice(policy), cluster, RUNNER, tmp_path, [watch], max_failures=1
    )
    assert outcome.status == "finished"
    assert outcome.reason == ""
    assert {worker.name for worker in watch.workers} == {"fast/cpu:0", "fast/cpu:1", "slow/cpu:0"}
    assert set(watch.ended) == set(range(6))
    assert watch.failures == []  # other nodes have room too, and no worker
    assert watch.exploits
    for record in watch.slices:
        assert record.worker in {worker.name for worker in watch.workers}
        assert record.to_iteration <= 50
        assert record.score is not None
    last = {record.trial: record for record in watch.slices}
    assert {record.to_iteration for record in last.values()} == {50}
    assert outcome.best_trial == max(last, key=lambda n: (last[n].score, -n))
    assert outcome.test_metrics == {"test/score": outcome.best_score}
    for trial in range(6):  # each did the same, in one piece, whatever it took over
        mine = [record for record in watch.slices if record.trial == trial]
        assert [r.from_iteration for r in mine] == [0, *(r.to_iteration for r in mine[:-1])]
    for exploit in watch.exploits:
        began = [r for r in watch.slices
                 if (r.trial, r.from_iteration) == (exploit.trial, exploit.iteration)]  # fmt: skip
        assert [r.parent for r in began] in ([exploit.donor], [])  # [] if the run was over
    told = {(exploit.trial, exploit.iteration) for exploit in watch.exploits}
    took = {(r.trial, r.from_iteration) for r in watch.slices if r.parent is not None}
    assert took <= told
    assert (tmp_path / "winner.ckpt").read_text() == str(outcome.best_score)


def test_an_allocation_that_does_not_fit_is_refused_before_any_trial(
    ray_cluster: Any, tmp_path: Path
) -> None:
    from hrfs.tuning.run import run_experiment

    cluster = ClusterSettings("address", ray_cluster.address, {"nowhere": ONE_CPU})
    with pytest.raises(
        ConfigError, match=r"cluster\.allocation\.nowhere=nowhere: no such node; the"
    ):
        run_experiment(make_plan(), SchedulerChoice("hrfs"), cluster, RUNNER, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".processes"], "only the lock"
