"""The state machine that schedules a run: ``handle(event) -> decisions``.

It keeps the population, the pool of workers and the slices under way, has free workers served,
and runs exploit and explore at interval boundaries. Any driver, real or simulated, that feeds it
the same events gets the same decisions.
"""

from __future__ import annotations

from hrfs.core.decisions import Decision, FinishTrial
from hrfs.core.events import (
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
from hrfs.core.knowledge import Knowledge
from hrfs.core.pbt import merit
from hrfs.core.policy import Policy, Snapshot
from hrfs.core.serving import Serving
from hrfs.core.settings import Settings
from hrfs.core.state import RunningSlice, State, Trial, TrialPhase, WaitingList, Worker, WorkerPhase

__all__ = ["Scheduler", "Settings"]


class Scheduler:
    """Schedules one population over one pool of workers.

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
                self._add_trial(event)
            case TrialRemoved():
                self._remove_trial(event, decisions)
            case WorkerJoined():
                self._join(event)
            case WorkerLeft():
                self._leave(event)
            case SliceDone():
                self._finish_slice(event, decisions)
            case SliceFailed():
                self._fail_slice(event)
            case Tick():
                pass
        if self.state.stopped:
            self._stop_waiting(decisions)
        return decisions + self._serving.serve(event.time_s)

    @property
    def finished(self) -> bool:
        """Whether every trial has ended."""
        return not self.state.waiting and not self.state.running

    def snapshot(self, time_s: float) -> Snapshot:
        """The policy's view of the present state."""
        return self._serving.snapshot(time_s)

    # Trials

    def _add_trial(self, event: TrialAdded) -> None:
        if event.trial in self.state.trials:
            raise ValueError(f"trial {event.trial} was added before")
        self.state.trials[event.trial] = Trial(event.trial, dict(event.hyperparameters))
        self.state.waiting.add(event.trial, 0)
        self._knowledge.trial_added(event.trial)

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
        self._knowledge.trial_ended(trial.number)
        trial.phase = TrialPhase.FINISHED
        decisions.append(FinishTrial(trial.number, event.reason))

    def _wait(self, trial: Trial) -> None:
        trial.phase = TrialPhase.WAITING
        self.state.waiting.add(trial.number, trial.iteration, trial.last_worker)

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
        self.state.pool_changes += 1
        self.state.set_free(worker)
        self._knowledge.worker_joined(worker)

    def _leave(self, event: WorkerLeft) -> None:
        worker = self.state.workers.get(event.worker)
        if worker is None or worker.phase is WorkerPhase.GONE:
            raise ValueError(f"worker {event.worker} is not there")
        if worker.slice is not None:
            self._wait(self.state.trials[self._take_slice(worker.slice).trial])
        if worker.phase is WorkerPhase.FREE:
            del self.state.free[worker.name]
        worker.phase, worker.slice = WorkerPhase.GONE, None
        self._knowledge.worker_left(worker.name)
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

    def _fail_slice(self, event: SliceFailed) -> None:
        ended = self._take_slice(event.slice)
        self._wait(self.state.trials[ended.trial])
        self._release(ended)

    def _finish_slice(self, event: SliceDone, decisions: list[Decision]) -> None:
        ended = self._running(event.slice)
        trial, worker = self.state.trials[ended.trial], self.state.workers[ended.worker]
        moved = self.state.comes_from_elsewhere(trial, worker.name)
        self._knowledge.slice_measured(ended, event, worker, moved)  # it may refuse the event
        self._take_slice(ended.number)
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
        self._judge(trial, ended, decisions)
        if trial.iteration >= self.settings.stop_iterations:
            trial.phase = TrialPhase.FINISHED
            self._knowledge.trial_ended(trial.number)
            decisions.append(FinishTrial(trial.number, "all iterations done"))
        else:
            self._knowledge.trial_advanced(trial.number, trial.iteration)
            self._wait(trial)

    # Judging

    def _judge(self, trial: Trial, ended: RunningSlice, decisions: list[Decision]) -> None:
        """Score the trial; at an interval boundary, decide on exploit and explore."""
        target, mode = self.settings.target_score, self.settings.mode
        if (
            target is not None
            and trial.last_score is not None
            and merit(trial.last_score, mode) >= merit(target, mode)
        ):
            self.state.target_reached = True
            self.state.stopped |= self.settings.stop_on_target
        may_exploit = self._evolution.cross(trial, ended.from_iteration)
        if may_exploit and not self.state.stopped:
            exploit = self._evolution.exploit(trial, self.state.trials)
            if exploit is not None:
                decisions.append(exploit)

    def _stop_waiting(self, decisions: list[Decision]) -> None:
        for place in list(self.state.waiting):
            self.state.waiting.remove(place.trial, place.iteration)
            self.state.trials[place.trial].phase = TrialPhase.FINISHED
            self._knowledge.trial_ended(place.trial)
            decisions.append(FinishTrial(place.trial, "the target was reached"))
