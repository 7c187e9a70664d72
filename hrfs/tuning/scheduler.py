"""HRFS as a Ray Tune scheduler: hooks become events, decisions become Tune's actions.

The hooks only note what happened. Everything is decided in ``choose_trial_to_run``, which
Tune calls in every turn of its loop: what was noted and how the pool of workers has changed
goes to the scheduling core as events, and the core's decisions are carried out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from hrfs.core.policies import make_policy
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.state import TrialPhase
from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.observer import LateObservers, RunObserver
from hrfs.experiment.plan import Plan
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.context import Context, Memory
from hrfs.tuning.dispatch import COUNTERS
from hrfs.tuning.inbound import Inbound
from hrfs.tuning.outbound import Outbound
from hrfs.tuning.privates import Controller, register
from hrfs.tuning.retention import Retention
from hrfs.tuning.state_file import forget_workers, read_memory, write_memory
from hrfs.tuning.trainable import SAVED_KEY
from hrfs.tuning.winner import Contender

log = logging.getLogger("hrfs")


class HRFSScheduler(TrialScheduler):
    """Runs the trials of one experiment slice by slice over unlike workers.

    Use with ``reuse_actors=True`` and a class Trainable that keeps the contract in
    :mod:`hrfs.tuning.trainable`; leave ``max_concurrent_trials`` and ``num_to_keep`` unset. A
    trial's hyperparameters are the entries of its config that ``plan.search_space`` names. Add
    :class:`~hrfs.tuning.resume.StateCallback` to the run's callbacks for ``Tuner.restore``.

    Args:
        plan: population, interval, stop, metric and mutations.
        policy: a name of :data:`hrfs.core.policies.POLICIES`.
        cluster: how the nodes of the cluster are cut into workers.
        observers: told of every record, in order.
        max_failures: how many slices of one trial may end in an exception of its own before
            the trial is given up. Lost workers do not count.
        max_staleness_iterations: how far a trial may be advanced beyond the least advanced one
            (policy ``hrfs`` alone); None sets no limit.

    Raises:
        ValueError: no such policy, an interval that does not fit the stop, or a limit of
            staleness below the interval.
    """

    def __init__(
        self,
        plan: Plan,
        policy: str = "hrfs",
        cluster: ClusterSettings | None = None,
        observers: Sequence[RunObserver] = (),
        max_failures: int = 3,
        max_staleness_iterations: int | None = None,
    ) -> None:
        super().__init__()
        self._plan = plan
        self._metric = plan.metric
        self._policy = policy
        self._cluster = cluster or ClusterSettings()
        self._max_failures = max_failures
        self._max_staleness_iterations = max_staleness_iterations
        self._restoring = False
        self._begin_driver(self._new_memory(), observers)

    def _new_memory(self) -> Memory:
        """What a run begins with."""
        return Memory(_core(self._plan, self._policy, self._max_staleness_iterations))

    def _begin_driver(self, memory: Memory, observers: Sequence[RunObserver]) -> None:
        """Set up what belongs to this process and is not carried over a restore."""
        watch = LateObservers(observers)
        self._context = Context(self._plan, self._cluster, memory, watch)
        self._inbound = Inbound(self._context, self._max_failures)
        self._outbound = Outbound(self._context)
        self._retention = Retention()
        self._unsettled = False
        self._without_workers_s: float | None = None
        self.gave_up: str | None = None
        """Why the run was ended before all trials were done, if it was."""

    # What Tune asks

    @property
    def supports_buffered_results(self) -> bool:
        """Slices end one at a time."""
        return False

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Accept TuneConfig's metric and mode if they are the plan's or unset."""
        return metric in (None, self._plan.metric) and mode in (None, self._plan.mode)

    def debug_string(self) -> str:
        """One line for Tune's own status."""
        state = self.core.state
        return f"HRFS: {len(state.running)} slices under way, {len(state.waiting)} trials waiting"

    # Hooks: note what happened

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """A new trial, a restored one, or one that Tune has queued again after a failure."""
        if self._restoring:
            self._restore(trial)
        context = self._context
        known = trial.trial_id in context.memory.numbers
        number = context.memory.numbers.setdefault(trial.trial_id, len(context.memory.numbers))
        context.trials[number] = trial
        if trial.status in (Trial.TERMINATED, Trial.ERROR):
            self._inbound.note_removed(number, "ended before")
            return
        trial.init_local_path()
        Controller(tune_controller).park(trial)
        if not known:
            self._inbound.note_trial(number, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """A slice is trained and evaluated: pause the trial, saved if it is not yet."""
        self._inbound.note_result(self._context.memory.numbers[trial.trial_id], result)
        saved = result.get(SAVED_KEY)
        if saved is None:
            return str(TrialScheduler.PAUSE)
        register(trial, saved, {name: result[name] for name in COUNTERS})
        Controller(tune_controller).pause(trial)
        return str(TrialScheduler.NOOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A slice was lost."""
        self._inbound.note_error(trial)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: Any) -> None:
        """Tune ended a running trial (its ``stop=``, or a time budget)."""
        self.on_trial_remove(tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Tune ended a trial that was not running, perhaps because we asked for it."""
        number = self._context.memory.numbers[trial.trial_id]
        self._inbound.note_removed(number, "stopped by Ray Tune")

    # The turn of the loop

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Bring core and cluster up to date with each other. Starts trials itself."""
        context = self._context
        if context.attach(tune_controller):
            self._inbound.discover()
            self._stop_finished_trials()
        self._settle()
        for event in self._inbound.collect():
            self._unsettled = True
            for decision in self.core.handle(event):
                self._outbound.carry_out(decision)
        if not self._outbound.dispatch():
            self._settle()  # nobody waits; else in the next turn, when workers are at work
        self._give_up_if_hopeless()
        context.observers.on_tick(context.now_s)
        return None

    def _settle(self) -> None:
        """Tell observers, and make the state safe; then what only an older one needs may go."""
        if self._unsettled:
            self._unsettled = False
            self._context.observers.flush()
            write_memory(self._context.memory, self._context.trials)
            self._retention.apply(self._context)

    def close(self) -> None:
        """Tell what is untold; call when the experiment was interrupted."""
        self._settle()

    def _stop_finished_trials(self) -> None:
        """After a restore: Tune's snapshot may be older than the end of a trial."""
        for number, trial in self._context.trials.items():
            known = self.core.state.trials.get(number)
            if known is not None and known.phase is TrialPhase.FINISHED:
                self._context.controller.stop(trial)

    def _give_up_if_hopeless(self) -> None:
        reason = self._inbound.hopeless() or self._no_workers()
        if reason and not self.gave_up:
            self.gave_up = reason
            log.error("the run gives up: %s", reason)
            self._context.controller.stop_experiment()

    def _no_workers(self) -> str | None:
        now_s, wait_s = self._context.now_s, self._cluster.wait_s
        if self._context.pool.workers or self.core.finished:
            self._without_workers_s = None
        elif self._without_workers_s is None:
            self._without_workers_s = now_s
            log.warning("no worker is left; waiting %g s for one (cluster.wait_s)", wait_s)
        elif now_s - self._without_workers_s > wait_s:
            return f"no worker came back within cluster.wait_s={wait_s:g}"
        return None

    # What the end of the run needs

    @property
    def core(self) -> Scheduler:
        """The scheduling core, to look at."""
        return self._context.core

    @property
    def finished(self) -> bool:
        """Whether every trial has ended, and there was one."""
        return bool(self.core.state.trials) and self.core.finished

    @property
    def now_s(self) -> float:
        """Seconds since the start of the run, restores included."""
        return self._context.now_s

    @property
    def bundles(self) -> list[Bundle]:
        """The workers that are there now."""
        return self._context.pool.bundles

    def contenders(self) -> list[Contender]:
        """Each trial's last score and the folder of its last checkpoint."""
        where = self._context.memory.exploits.path_for
        return [
            Contender(n, t.last_score, where(n, t.checkpoint))
            for n, t in self.core.state.trials.items()
        ]

    # Restoring

    def expect_restore(self) -> None:
        """The next trial that Tune adds is a restored one: read the state beside it."""
        self._restoring = True

    def _restore(self, trial: Trial) -> None:
        self._restoring = False
        memory = read_memory(trial)
        forget_workers(memory)
        self._begin_driver(memory, self._context.observers.members)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles the scheduler when an experiment starts; observers hold open files."""
        kept = (
            "_plan",
            "_metric",
            "_policy",
            "_cluster",
            "_max_failures",
            "_max_staleness_iterations",
            "_restoring",
        )
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin_driver(self._new_memory(), ())


def _core(plan: Plan, policy: str, max_staleness_iterations: int | None) -> Scheduler:
    settings = Settings(
        stop_iterations=plan.stop_iterations,
        interval_iterations=plan.interval_iterations,
        search_space=plan.search_space,
        pbt=plan.pbt,
        mode=plan.mode,
        target_score=plan.target_score,
        stop_on_target=plan.stop_on_target,
        populations=plan.populations,
        max_staleness_iterations=max_staleness_iterations,
    )
    return Scheduler(settings, make_policy(policy))
