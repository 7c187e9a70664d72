"""One run: its cluster is started or joined, and then Ray Tune is imported.

In this order because the import takes a second, in which the cluster's processes start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.event_replay import Replay
from hrfs.experiment.launch import Outcome, RunnerSpec, SchedulerChoice, check_seeds
from hrfs.experiment.observer import Observers, RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.process_start import without_collecting
from hrfs.experiment.slices import module_of
from hrfs.tuning.fence import fence_off
from hrfs.tuning.session import cluster as ray_cluster

TRAINABLE = "hrfs.tuning.runner_trainable"


def run_experiment(
    plan: Plan,
    scheduler: SchedulerChoice,
    cluster: ClusterSettings,
    runner: RunnerSpec,
    out_dir: Path,
    observers: Sequence[RunObserver] = (),
    max_failures: int = 3,
    replay: Replay | None = None,
) -> Outcome:
    """Train the populations of ``plan`` and test the winner of each.

    ``out_dir`` must be seen by all nodes of the cluster under the same path; it gets a folder
    per trial and the winners' checkpoints. ``max_failures`` is per trial and counts exceptions
    in training only. With ``replay`` the run in ``out_dir`` goes on from there; none of Ray's
    own scheduler can.

    Raises:
        ConfigError: the cluster does not answer, no worker can be made of it, some node does not
            see ``out_dir`` or lacks cores, or the scheduler cannot keep several populations apart.
        StorageError: the run cannot be kept on the disk any more; it can be resumed.
    """
    check_seeds(scheduler.policy, plan.seeds)
    watch, fence = Observers(observers), fence_off(out_dir)
    imports = (TRAINABLE, module_of(runner.factory))
    with ray_cluster(cluster, imports):
        with without_collecting():
            from hrfs.tuning.on_cluster import run_on_cluster

        return run_on_cluster(
            plan, scheduler, cluster, runner, out_dir, watch, fence, max_failures, replay
        )
