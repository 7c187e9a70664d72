"""The state machine that schedules a run: ``handle(event) -> decisions``.

It keeps the populations, the pool of workers and the slices under way, has free workers served,
and runs exploit and explore at interval boundaries. Any driver, real or simulated, that feeds it
the same events gets the same decisions.
"""

from __future__ import annotations

from hrfs.core.decisions import Decision, FinishTrial
from hrfs.core.events import (
    CheckpointLost,
    Event,
    SliceDone,
    SliceFailed,
    Tick,
    TrialAdded,
    TrialRemoved,
    WorkerJoined,
    WorkerLeft,
)
from hrfs.core.evolution import Evolution
from hrfs.core.fallback import fall_back
from hrfs.core.knowledge import Knowledge
from hrfs.core.pbt import merit
from hrfs.core.policy import Policy, Snapshot
from hrfs.core.serving import Serving
from hrfs.core.settings import Settings
from hrfs.core.state import RunningSlice, State, Trial, TrialPhase, WaitingList, Worker, WorkerPhase

__all__ = ["Scheduler", "Settings"]

TARGET_REACHED = "the target was reached"


class Scheduler:
    """Schedules one population, or several, over one pool of workers.

    Exploit and the target are matters of each population by itself
    (:class:`~hrfs.core.populations.Populations`); workers are served as if all were one.

    ``handle`` is the only method that changes anything. An event that cannot be true in the
    present state (a result of a slice that is not under way, say) raises ValueError and
    changes nothing: late results must be filtered by the driver, by slice number.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self.settings = settings
        self.state = State(WaitingList(settings.interval_iterations))
        self._knowledge = Knowledge(settings)
        self._serving = Serving(settings, policy, self.state, self._knowledge)
        self._evolution = Evolution(settings)

    def handle(self, event: Event) -> list[Decision]:
        """Take note of ``event`` and say what is to be done now, in this order.

        Raises:
            ValueError: the event contradicts what happened so far.
        """
        decisions: list[Decision] = []
        match event:
            case TrialAdded():
                self._add_trial(event, decisions)
            case TrialRemoved():
                self._remove_trial(event, decisions)
            case WorkerJoined():
                self._join(event)
            case WorkerLeft():
                self._leave(event, decisions)
            case SliceDone():
                self._finish_slice(event, decisions)
            case SliceFailed():
                self._fail_slice(event, decisions)
            case CheckpointLost():
                self._lose_checkpoint(event, decisions)
            case Tick():
                pass
        return decisions + self._serving.serve(event.time_s)

    @property
    def finished(self) -> bool:
        """Whether every trial has ended."""
        return not self.state.waiting and not self.state.running

    def snapshot(self, time_s: float) -> Snapshot:
        """The policy's view of the present state."""
        return self._serving.snapshot(time_s)

    # Trials

    def _add_trial(self, event: TrialAdded, decisions: list[Decision]) -> None:
        if event.trial in self.state.trials:
            raise ValueError(f"trial {event.trial} was added before")
        self.settings.populations.of(event.trial)  # it may refuse the event
        trial = self.state.trials[event.trial] = Trial(event.trial, dict(event.hyperparameters))
        self._knowledge.trial_added(trial.number)
        self._wait(trial, decisions)

    def _remove_trial(self, event: TrialRemoved, decisions: list[Decision]) -> None:
        trial = self._trial(event.trial)
        if trial.phase is TrialPhase.FINISHED:
            return
        if trial.phase is TrialPhase.RUNNING:
            assert trial.slice is not None
            self._release(self._take_slice(trial.slice))
        else:
            self.state.waiting.remove(trial.number, trial.iteration)
        self._evolution.forget(trial.number)
        self._finish(trial, event.reason, decisions)

    def _wait(self, trial: Trial, decisions: list[Decision]) -> None:
        """The trial waits for a worker, unless its population has stopped."""
        if self._is_stopped(trial):
            self._finish(trial, TARGET_REACHED, decisions)
            return
        trial.phase = TrialPhase.WAITING
        if self.settings.timetable is not None:
            trial.hyperparameters = self.settings.timetable.values_at(trial.iteration)
        self.state.waiting.add(trial.number, trial.iteration, trial.last_worker)

    def _finish(self, trial: Trial, reason: str, decisions: list[Decision]) -> None:
        trial.phase = TrialPhase.FINISHED
        self._knowledge.trial_ended(trial.number)
        decisions.append(FinishTrial(trial.number, reason))

    def _trial(self, number: int) -> Trial:
        try:
            return self.state.trials[number]
        except KeyError:
            raise ValueError(f"trial {number} is not known") from None

    # Workers

    def _join(self, event: WorkerJoined) -> None:
        worker = self.state.workers.get(event.worker)
        if worker is None:
            worker = self.state.workers[event.worker] = Worker(event.worker, event.kind)
        elif worker.phase is not WorkerPhase.GONE:
            raise ValueError(f"worker {event.worker} is there already")
        worker.kind = event.kind
        self.state.present += 1
        self.state.pool_changes += 1
        self.state.set_free(worker)
        self._knowledge.worker_joined(worker)

    def _leave(self, event: WorkerLeft, decisions: list[Decision]) -> None:
        worker = self.state.workers.get(event.worker)
        if worker is None or worker.phase is WorkerPhase.GONE:
            raise ValueError(f"worker {event.worker} is not there")
        if worker.slice is not None:
            self._wait(self.state.trials[self._take_slice(worker.slice).trial], decisions)
        if worker.phase is WorkerPhase.FREE:
            del self.state.free[worker.name]
        worker.phase, worker.slice = WorkerPhase.GONE, None
        self._knowledge.worker_left(worker.name)
        if event.hung:
            worker.slices, worker.first_s_per_iteration = 0, None
            self._knowledge.worker_forgotten(worker)
        self.state.present -= 1
        self.state.pool_changes += 1

    # Slices

    def _take_slice(self, number: int) -> RunningSlice:
        ended = self._running(number)
        del self.state.running[number]
        self.state.trials[ended.trial].slice = None
        self._knowledge.slice_ended(number)
        return ended

    def _running(self, number: int) -> RunningSlice:
        try:
            return self.state.running[number]
        except KeyError:
            raise ValueError(f"slice {number} is not under way") from None

    def _release(self, ended: RunningSlice) -> None:
        self.state.set_free(self.state.workers[ended.worker])

    def _fail_slice(self, event: SliceFailed, decisions: list[Decision]) -> None:
        ended = self._take_slice(event.slice)
        self._wait(self.state.trials[ended.trial], decisions)
        self._release(ended)

    def _lose_checkpoint(self, event: CheckpointLost, decisions: list[Decision]) -> None:
        trial = self.state.trials[self._running(event.slice).trial]
        decisions.append(fall_back(trial, event))  # it may refuse the event
        ended = self._take_slice(event.slice)
        self._evolution.go_back(trial)
        self._knowledge.trial_advanced(trial.number, trial.iteration)
        self.state.leader = max(other.iteration for other in self.state.trials.values())
        self._wait(trial, decisions)
        self._release(ended)

    def _finish_slice(self, event: SliceDone, decisions: list[Decision]) -> None:
        ended = self._running(event.slice)
        trial, worker = self.state.trials[ended.trial], self.state.workers[ended.worker]
        moved = self.state.comes_from_elsewhere(trial, worker.name)
        self._knowledge.slice_measured(ended, event, worker, moved)  # it may refuse the event
        self._take_slice(ended.number)
        trial.before = trial.saved()
        trial.iteration += ended.iterations
        trial.recorded_iterations += ended.iterations
        trial.checkpoint, trial.parent = event.checkpoint, None
        trial.last_worker, trial.last_score = worker.name, event.score
        worker.slices += 1
        if worker.first_s_per_iteration is None:
            worker.first_s_per_iteration = event.duration_s / ended.iterations
            self.state.pool_changes += 1
        self.state.leader = max(self.state.leader, trial.iteration)
        self._release(ended)
        self._exploit(trial, ended, decisions)
        if trial.iteration >= self.settings.stop_iterations:
            self._finish(trial, "all iterations done", decisions)
        else:
            self._knowledge.trial_advanced(trial.number, trial.iteration)
            self._wait(trial, decisions)
        self._note_target(trial, decisions)

    # Judging

    def _exploit(self, trial: Trial, ended: RunningSlice, decisions: list[Decision]) -> None:
        """Score the trial; at an interval boundary, decide on exploit and explore.

        A trial that has reached the target, or whose population has stopped, trains no more.
        """
        if not self._evolution.cross(trial, ended.from_iteration) or self._is_stopped(trial):
            return
        if self.settings.stop_on_target and self._is_at_target(trial):
            return
        exploit = self._evolution.exploit(trial, self.state.trials)
        if exploit is not None:
            decisions.append(exploit)

    def _note_target(self, trial: Trial, decisions: list[Decision]) -> None:
        """If the trial is its population's first at the target, the others of it may stop."""
        state, populations = self.state, self.settings.populations
        mine = populations.of(trial.number)
        if mine in state.reached or not self._is_at_target(trial):
            return
        state.reached.add(mine)
        state.target_reached = len(state.reached) == len(populations)
        if self.settings.stop_on_target:
            for place in [p for p in state.waiting if populations.of(p.trial) == mine]:
                state.waiting.remove(place.trial, place.iteration)
                self._finish(state.trials[place.trial], TARGET_REACHED, decisions)

    def _is_at_target(self, trial: Trial) -> bool:
        target, mode, score = self.settings.target_score, self.settings.mode, trial.last_score
        if target is None or score is None:
            return False
        return merit(score, mode) >= merit(target, mode)

    def _is_stopped(self, trial: Trial) -> bool:
        """Whether the trial's population trains no more, since its target was reached."""
        if not self.settings.stop_on_target or not self.state.reached:
            return False
        return self.settings.populations.of(trial.number) in self.state.reached
