"""HRFS as a Ray Tune scheduler: hooks become events, decisions become Tune's actions.

The hooks only note what happened. Everything is decided in ``choose_trial_to_run``, which
Tune calls in every turn of its loop: what was noted and how the pool of workers has changed
goes to the scheduling core as events, and the core's decisions are carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from hrfs.core.scheduler import Scheduler
from hrfs.core.state import TrialPhase
from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.event_log import settings_of
from hrfs.experiment.event_replay import Replay, make_core, rebuild
from hrfs.experiment.observer import LateObservers, RunObserver
from hrfs.experiment.plan import Plan
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.context import Context, Memory
from hrfs.tuning.dispatch import COUNTERS
from hrfs.tuning.inbound import Inbound
from hrfs.tuning.interrupt import ends_soon
from hrfs.tuning.journal import read_journal
from hrfs.tuning.ledger import Ledger
from hrfs.tuning.outbound import Outbound
from hrfs.tuning.patience import Patience
from hrfs.tuning.privates import Controller, register
from hrfs.tuning.trainable import SAVED_KEY
from hrfs.tuning.winner import Contender


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
        return Memory(make_core(self._plan, self._policy, self._max_staleness_iterations))

    def _begin_driver(
        self, memory: Memory, observers: Sequence[RunObserver], replay: Replay | None = None
    ) -> None:
        """Set up what belongs to this process; ``replay`` is what an earlier one left behind."""
        watch = LateObservers(observers)
        self._context = Context(self._plan, self._cluster, memory, watch)
        self._inbound = Inbound(self._context, self._max_failures)
        self._patience = Patience(self._context, self._inbound)
        self._outbound = Outbound(self._context, replay.under_way() if replay else ())
        told = settings_of(self._plan, self._policy, self._max_staleness_iterations)
        self._ledger = Ledger(self._context, self._outbound, told, replay)
        self._ended_before: list[Trial] = []
        self._renamed = False

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
        number = context.memory.numbers.setdefault(trial.trial_id, len(context.memory.numbers))
        seen, context.trials[number] = number in context.trials, trial
        if trial.status in (Trial.TERMINATED, Trial.ERROR):
            self._inbound.note_removed(number, "ended before")
            return
        trial.init_local_path()
        Controller(tune_controller).park(trial)
        known = self.core.state.trials.get(number)
        if not seen:
            self._ledger.adopt(number, trial, self._renamed)
            if known is None:
                self._inbound.note_trial(number, trial)
        if known is not None and known.phase is TrialPhase.FINISHED:
            self._ended_before.append(trial)  # Tune knows less than the log

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """A slice is trained and evaluated: pause the trial, saved if it is not yet."""
        number = self._context.memory.numbers[trial.trial_id]
        if self._inbound.is_late(number, result):
            return str(TrialScheduler.NOOP)
        self._inbound.note_result(number, result)
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
        while self._ended_before:
            context.controller.stop(self._ended_before.pop())
        self._ledger.settle()
        for entry in self._inbound.collect():
            self._ledger.enter(entry)
        if ends_soon(context.dispatched) or not self._outbound.dispatch():
            self._ledger.settle()  # nobody waits; else in the next turn, when workers are at work
        self._patience.look()
        context.observers.on_tick(context.now_s)
        return None

    def close(self) -> None:
        """Tell what is untold; call when the experiment was interrupted."""
        self._ledger.settle()

    def give_up_slices(self) -> None:
        """Kill the processes of the slices under way, in a Ray that may live on."""
        for dispatched in self._context.dispatched.values():
            self._context.controller.abandon(dispatched.trial)

    # What the end of the run needs

    @property
    def gave_up(self) -> str | None:
        """Why the run was ended before all trials were done, if it was."""
        return self._patience.gave_up

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
        """The next trial that Tune adds is a restored one: read the log beside it."""
        self._restoring = True

    def go_on_from(self, replay: Replay) -> None:
        """Go on from ``replay`` in a new experiment of Tune's in the same folder.

        To be called before it starts; its trials are the old ones, in the order of their numbers.
        """
        self._begin_driver(Memory.of(replay), self._context.observers.members, replay)
        self._context.memory.numbers.clear()  # Tune names its trials anew
        self._renamed = True

    def _restore(self, trial: Trial) -> None:
        self._restoring = False
        staleness, where = self._max_staleness_iterations, str(trial.storage.experiment_fs_path)
        replay = rebuild(read_journal(trial), where, self._plan, self._policy, staleness)
        self._begin_driver(Memory.of(replay), self._context.observers.members, replay)

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
