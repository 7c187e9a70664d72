"""One run on a cluster that is there, from its first worker to its winners."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from ray.tune import Callback

from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.event_replay import Replay
from hrfs.experiment.interrupts import current
from hrfs.experiment.launch import RAY_PBT, Outcome, RunnerSpec, SchedulerChoice, Status
from hrfs.experiment.observer import RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.slices import resolve_name
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.baseline import BaselineRun
from hrfs.tuning.cores import require_cores
from hrfs.tuning.ending import conclude
from hrfs.tuning.fence import FENCE_KEY, Fence
from hrfs.tuning.interrupt import ends_soon
from hrfs.tuning.pool import WorkerPool
from hrfs.tuning.population import fit_population, make_run_config
from hrfs.tuning.resume import SilentProgress, StateCallback
from hrfs.tuning.runner_trainable import RUNNER_KEY, RunnerTrainable
from hrfs.tuning.scheduler import HRFSScheduler
from hrfs.tuning.storage_view import require_shared
from hrfs.tuning.winner import Contender


def run_on_cluster(
    plan: Plan,
    scheduler: SchedulerChoice,
    cluster: ClusterSettings,
    runner: RunnerSpec,
    out_dir: Path,
    watch: RunObserver,
    fence: Fence,
    max_failures: int,
    replay: Replay | None,
) -> Outcome:
    """As :func:`hrfs.tuning.run.run_experiment`, with Ray at hand.

    Raises:
        ConfigError: no worker can be made of the cluster, some node does not see
            ``out_dir`` or lacks cores.
        StorageError: the run cannot be kept on the disk any more; it can be resumed.
    """
    bundles = WorkerPool(cluster).discover()  # what cannot work is refused before Tune begins
    require_cores(bundles, cluster)
    require_shared(out_dir, bundles, cluster.mode)
    if runner.check is not None:
        resolve_name(runner.check)(runner.settings, [bundle.info for bundle in bundles])
    if scheduler.policy == RAY_PBT:
        run: SliceRun | BaselineRun = BaselineRun(plan, scheduler, cluster, runner, watch)
    else:
        run = SliceRun(plan, scheduler, cluster, runner, watch, fence, max_failures, replay)
    try:
        run.fit(out_dir)
    finally:
        watch.on_end(run.now_s)
    end = _conclude(plan, run, runner, out_dir)
    if isinstance(run, BaselineRun):
        return replace(end, request=run.request.to_dict())
    return end


def _conclude(
    plan: Plan, run: SliceRun | BaselineRun, runner: RunnerSpec, out_dir: Path
) -> Outcome:
    """Test the winners, unless the user interrupts that too."""
    contenders = run.contenders()
    try:
        if run.status == "finished":
            ends_soon(())
        return conclude(plan, run.status, run.reason, contenders, runner, run.bundles, out_dir)
    except KeyboardInterrupt:
        reason = "stopped during the test of the winner"
        return conclude(plan, "interrupted", reason, contenders, runner, run.bundles, out_dir)


class SliceRun:
    """The experiment under :class:`HRFSScheduler`."""

    def __init__(
        self,
        plan: Plan,
        scheduler: SchedulerChoice,
        cluster: ClusterSettings,
        runner: RunnerSpec,
        watch: RunObserver,
        fence: Fence,
        max_failures: int,
        replay: Replay | None = None,
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._fence = fence
        self._scheduler = HRFSScheduler(
            plan,
            scheduler.policy,
            cluster,
            [watch],
            max_failures,
            scheduler.max_staleness_iterations,
        )
        self._callbacks: list[Callback] = [StateCallback(self._scheduler)]
        if replay is not None:
            self._scheduler.go_on_from(replay)
            self._callbacks.append(SilentProgress())

    def fit(self, out_dir: Path) -> None:
        """Train until every trial has ended, or the user interrupts."""
        settings = {
            "factory": self._runner.factory,
            "settings": dict(self._runner.settings),
            FENCE_KEY: asdict(self._fence),
        }
        try:
            with current().patient():
                fit_population(
                    RunnerTrainable,
                    self._plan,
                    {RUNNER_KEY: settings},
                    self._scheduler,
                    make_run_config(out_dir, self._callbacks),
                )
        except KeyboardInterrupt:
            self._scheduler.give_up_slices()
        finally:
            self._scheduler.close()

    def contenders(self) -> list[Contender]:
        """Every trial's last score and checkpoint."""
        return self._scheduler.contenders()

    @property
    def now_s(self) -> float:
        """Seconds since the start of the run."""
        return self._scheduler.now_s

    @property
    def bundles(self) -> list[Bundle]:
        """The workers at the end."""
        return self._scheduler.bundles

    @property
    def status(self) -> Status:
        """How the run ended."""
        if self._scheduler.gave_up:
            return "gave up"
        return "finished" if self._scheduler.finished else "interrupted"

    @property
    def reason(self) -> str:
        """Why it did not finish; empty if it did."""
        if self._scheduler.gave_up:
            return self._scheduler.gave_up
        return "" if self._scheduler.finished else "stopped before the last slice"
