"""The state machine that schedules a run: ``handle(event) -> decisions``.

It keeps the population, the pool of workers and the slices under way, asks a policy what each
free worker is to do, and runs exploit and explore at interval boundaries. Any driver, real or
simulated, that feeds it the same events gets the same decisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hrfs.core.backlog import Backlog
from hrfs.core.decisions import (
    Decision,
    FinishTrial,
    RecallWorker,
    RetireWorker,
    StartSlice,
    Wait,
)
from hrfs.core.estimator import SpeedEstimator
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
from hrfs.core.pbt import Mode, PbtSettings, merit
from hrfs.core.policy import Policy, Retire, Snapshot, Start
from hrfs.core.roster import Roster
from hrfs.core.search_space import SearchSpace
from hrfs.core.state import (
    RunningSlice,
    State,
    Trial,
    TrialPhase,
    WaitingList,
    Worker,
    WorkerPhase,
)
from hrfs.core.tca import TcaEstimator


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change during a run. Iterations are optimizer steps.

    Raises:
        ValueError: an interval below 1 or beyond the stop.
    """

    stop_iterations: int
    interval_iterations: int
    search_space: SearchSpace = field(default_factory=dict)
    pbt: PbtSettings = field(default_factory=PbtSettings)
    mode: Mode = "max"
    target_score: float | None = None
    stop_on_target: bool = False
    seed: int = 0
    max_staleness_iterations: int | None = None
    """No trial is advanced further than this beyond the least advanced one (policy ``hrfs``)."""

    def __post_init__(self) -> None:
        if not 1 <= self.interval_iterations <= self.stop_iterations:
            raise ValueError(
                f"interval_iterations={self.interval_iterations}: must be at least 1 and at most "
                f"stop_iterations={self.stop_iterations}"
            )
        staleness = self.max_staleness_iterations
        if staleness is not None and staleness < self.interval_iterations:
            raise ValueError(
                f"max_staleness_iterations={staleness}: must be at least "
                f"interval_iterations={self.interval_iterations}"
            )


class Scheduler:
    """Schedules one population over one pool of workers.

    ``handle`` is the only method that changes anything. An event that cannot be true in the
    present state (a result of a slice that is not under way, say) raises ValueError and
    changes nothing: late results must be filtered by the driver, by slice number.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self.settings = settings
        self.state = State(WaitingList(settings.interval_iterations))
        self._policy = policy
        self._tca = TcaEstimator()
        self._speeds = SpeedEstimator()
        self._roster = Roster()
        self._backlog = Backlog(settings.stop_iterations)
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
        self._serve(event.time_s, decisions)
        return decisions

    @property
    def finished(self) -> bool:
        """Whether every trial has ended."""
        return not self.state.waiting and not self.state.running

    def snapshot(self, time_s: float) -> Snapshot:
        """The policy's view of the present state."""
        state = self.state
        return Snapshot(
            time_s=time_s,
            max_staleness_iterations=self.settings.max_staleness_iterations,
            stop_iterations=self.settings.stop_iterations,
            interval_iterations=self.settings.interval_iterations,
            leader=state.leader,
            waiting=state.waiting,
            pool_changes=state.pool_changes,
            trials=state.trials,
            workers=state.workers,
            tca=self._tca.measured,
            speeds=self._speeds,
            roster=self._roster,
            backlog=self._backlog,
            target_reached=state.target_reached,
            recalled=state.recalled,
        )

    # Trials

    def _add_trial(self, event: TrialAdded) -> None:
        if event.trial in self.state.trials:
            raise ValueError(f"trial {event.trial} was added before")
        self.state.trials[event.trial] = Trial(event.trial, dict(event.hyperparameters))
        self.state.waiting.add(event.trial, 0)
        self._backlog.set(event.trial, 0, self._speeds.trial_factor(event.trial))

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
        self._backlog.drop(trial.number)
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
        self._speeds.join(event.worker, event.kind)
        self.state.pool_changes += 1
        self._free(worker)
        self._rate(worker.name)

    def _leave(self, event: WorkerLeft) -> None:
        worker = self.state.workers.get(event.worker)
        if worker is None or worker.phase is WorkerPhase.GONE:
            raise ValueError(f"worker {event.worker} is not there")
        if worker.slice is not None:
            self._wait(self.state.trials[self._take_slice(worker.slice).trial])
        if worker.phase is WorkerPhase.FREE:
            del self.state.free[worker.name]
        worker.phase, worker.slice = WorkerPhase.GONE, None
        self._roster.drop(worker.name)
        self.state.pool_changes += 1

    def _free(self, worker: Worker) -> None:
        worker.phase, worker.slice, worker.waiting_told = WorkerPhase.FREE, None, False
        self.state.free[worker.name] = None

    # Slices

    def _take_slice(self, number: int) -> RunningSlice:
        try:
            ended = self.state.running.pop(number)
        except KeyError:
            raise ValueError(f"slice {number} is not under way") from None
        self.state.trials[ended.trial].slice = None
        self._roster.end(number)
        return ended

    def _release(self, ended: RunningSlice) -> None:
        self._free(self.state.workers[ended.worker])

    def _fail_slice(self, event: SliceFailed) -> None:
        ended = self._take_slice(event.slice)
        self._wait(self.state.trials[ended.trial])
        self._release(ended)

    def _finish_slice(self, event: SliceDone, decisions: list[Decision]) -> None:
        if event.slice in self.state.running:
            self._measure(self.state.running[event.slice], event)
        ended = self._take_slice(event.slice)
        self._rate(ended.worker)
        trial, worker = self.state.trials[ended.trial], self.state.workers[ended.worker]
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
            self._backlog.drop(trial.number)
            decisions.append(FinishTrial(trial.number, "all iterations done"))
        else:
            factor = self._speeds.trial_factor(trial.number)
            self._backlog.set(trial.number, trial.iteration, factor)
            self._wait(trial)

    def _measure(self, ended: RunningSlice, event: SliceDone) -> None:
        """Learn from a slice's seconds how fast its worker is."""
        moved = self._comes_from_elsewhere(self.state.trials[ended.trial], ended.worker)
        # First what may refuse the event, so that then nothing has changed.
        self._speeds.observe(
            ended.worker, ended.trial, ended.iterations, event.duration_s, event.overhead_s, moved
        )
        self._tca.observe(ended.worker, event.duration_s)
        worker = self.state.workers[ended.worker]
        if worker.slices == 0:  # now its kind is known
            for name in self._roster.unknown_of(worker.kind):
                self._rate(name)

    def _comes_from_elsewhere(self, trial: Trial, worker: str) -> bool:
        """Whether the weights that the trial goes on from were last on another worker."""
        source = trial if trial.parent is None else self.state.trials[trial.parent]
        return source.last_worker is not None and source.last_worker != worker

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

    # Serving

    def _stop_waiting(self, decisions: list[Decision]) -> None:
        for place in list(self.state.waiting):
            self.state.waiting.remove(place.trial, place.iteration)
            self.state.trials[place.trial].phase = TrialPhase.FINISHED
            self._backlog.drop(place.trial)
            decisions.append(FinishTrial(place.trial, "the target was reached"))

    def _serve(self, time_s: float, decisions: list[Decision]) -> None:
        """Ask the policy for each free worker, in the order that it wants."""
        self._recall_worth_it(time_s, decisions)
        self._serve_free(time_s, decisions)
        if self.state.waiting and not self.state.running and self._recall_all(decisions):
            self._serve_free(time_s, decisions)

    def _serve_free(self, time_s: float, decisions: list[Decision]) -> None:
        if not self.state.waiting or not self.state.free:
            return
        snapshot = self.snapshot(time_s)  # starting a slice changes none of its numbers
        for name in self._policy.order(snapshot, list(self.state.free)):
            if not self.state.waiting:
                return
            worker = self.state.workers[name]
            choice = self._policy.choose(snapshot, worker)
            if isinstance(choice, Start):
                decisions.append(self._start(worker, choice, time_s))
            elif isinstance(choice, Retire):
                del self.state.free[name]
                worker.phase = WorkerPhase.RETIRED
                self._roster.retire(name)
                decisions.append(RetireWorker(name, choice.reason))
            elif not worker.waiting_told:
                worker.waiting_told = True
                decisions.append(Wait(name, choice.reason))

    def _rate(self, worker: str) -> None:
        """Enter the worker into the roster by what is known of its speed, if anything is."""
        estimate = self._speeds.estimate(worker)
        if estimate is None:
            self._roster.expect(worker, self.state.workers[worker].kind)
        else:
            self._roster.set_speed(worker, estimate.speed(self.settings.interval_iterations))

    def _start(self, worker: Worker, choice: Start, time_s: float) -> StartSlice:
        trial = self.state.trials[choice.trial]
        left = self.settings.stop_iterations - trial.iteration
        if trial.phase is not TrialPhase.WAITING:
            raise ValueError(f"policy asked for trial {trial.number}, which is {trial.phase.value}")
        if not 1 <= choice.iterations <= left:
            raise ValueError(f"policy asked for {choice.iterations} of {left} iterations left")
        self.state.waiting.remove(trial.number, trial.iteration)
        del self.state.free[worker.name]
        number = self.state.next_slice
        self.state.next_slice += 1
        self.state.running[number] = RunningSlice(
            number, trial.number, worker.name, trial.iteration, choice.iterations, time_s
        )
        moved = self._comes_from_elsewhere(trial, worker.name)
        expected = self._speeds.predict(worker.name, choice.iterations, moved, trial.number)
        end_s = time_s + expected.seconds if expected is not None else math.inf
        self._roster.begin(number, worker.name, trial.iteration, choice.iterations, end_s)
        trial.phase, trial.slice = TrialPhase.RUNNING, number
        worker.phase, worker.slice = WorkerPhase.BUSY, number
        return StartSlice(
            slice=number,
            trial=trial.number,
            worker=worker.name,
            from_iteration=trial.iteration,
            iterations=choice.iterations,
            hyperparameters=trial.hyperparameters,
            checkpoint=trial.checkpoint,
            parent=trial.parent,
            reason=choice.reason,
        )

    def _recall_worth_it(self, time_s: float, decisions: list[Decision]) -> None:
        """Call retired workers back for whom the policy has work again, the fastest first."""
        while self.state.waiting and (name := self._roster.fastest_retired) is not None:
            reason = self._policy.recall(self.snapshot(time_s), self.state.workers[name])
            if reason is None:
                return
            self._call_back(self.state.workers[name], reason, decisions)

    def _recall_all(self, decisions: list[Decision]) -> bool:
        """Call every retired worker back, in the order in which they joined."""
        retired = [w for w in self.state.workers.values() if w.phase is WorkerPhase.RETIRED]
        if retired:
            self.state.recalled = True
        for worker in retired:
            reason = "every worker had retired while trials still wait"
            self._call_back(worker, reason, decisions)
        return bool(retired)

    def _call_back(self, worker: Worker, reason: str, decisions: list[Decision]) -> None:
        self._roster.drop(worker.name)
        self._free(worker)
        self._rate(worker.name)
        decisions.append(RecallWorker(worker.name, reason))
