"""Serving free workers: asks the policy who is to do what, and books what it chose."""

from __future__ import annotations

from hrfs.core.decisions import Decision, RecallWorker, RetireWorker, StartSlice, Wait
from hrfs.core.knowledge import Knowledge
from hrfs.core.policy import Choice, Policy, Retire, Snapshot, Start
from hrfs.core.settings import Settings
from hrfs.core.state import RunningSlice, State, Trial, TrialPhase, Worker, WorkerPhase


class Serving:
    """Gives the free workers of ``state`` what ``policy`` chooses for them."""

    def __init__(
        self, settings: Settings, policy: Policy, state: State, knowledge: Knowledge
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._state = state
        self._knowledge = knowledge

    def serve(self, time_s: float) -> list[Decision]:
        """Call back whom the policy wants again, and serve all free workers.

        If then nothing runs while trials wait, every retired worker returns and is served.

        Raises:
            ValueError: the policy chose what cannot be.
        """
        decisions: list[Decision] = []
        self._recall_worth_it(time_s, decisions)
        self._serve_free(time_s, decisions)
        if self._state.waiting and not self._state.running and self._recall_all(decisions):
            self._serve_free(time_s, decisions)
        return decisions

    def snapshot(self, time_s: float) -> Snapshot:
        """The policy's view of the present state."""
        state, known = self._state, self._knowledge
        return Snapshot(
            time_s=time_s,
            max_staleness_iterations=self._settings.max_staleness_iterations,
            stop_iterations=self._settings.stop_iterations,
            interval_iterations=self._settings.interval_iterations,
            leader=state.leader,
            waiting=state.waiting,
            pool_changes=state.pool_changes,
            trials=state.trials,
            workers=state.workers,
            present=state.present,
            tca=known.tca,
            speeds=known.speeds,
            roster=known.roster,
            backlog=known.backlog,
            target_reached=state.target_reached,
            recalled=state.recalled,
        )

    def _serve_free(self, time_s: float, decisions: list[Decision]) -> None:
        """Ask the policy for each free worker, in the order that it wants."""
        state = self._state
        if not state.waiting or not state.free:
            return
        snapshot = self.snapshot(time_s)  # starting a slice changes none of its numbers
        for name in self._policy.order(snapshot, list(state.free)):
            if not state.waiting:
                return
            worker = state.workers[name]
            decision = self._carry_out(self._policy.choose(snapshot, worker), worker, time_s)
            if decision is not None:
                decisions.append(decision)

    def _carry_out(self, choice: Choice, worker: Worker, time_s: float) -> Decision | None:
        """Book the choice; None if it is to wait on, which the worker was told before."""
        if isinstance(choice, Start):
            return self._start(worker, choice, time_s)
        if isinstance(choice, Retire):
            del self._state.free[worker.name]
            worker.phase = WorkerPhase.RETIRED
            self._knowledge.worker_retired(worker.name)
            return RetireWorker(worker.name, choice.reason)
        if worker.waiting_told:
            return None
        worker.waiting_told = True
        return Wait(worker.name, choice.reason)

    def _start(self, worker: Worker, choice: Start, time_s: float) -> StartSlice:
        state, trial = self._state, self._trial_of(choice)
        iterations = self._within_timetable(trial, choice.iterations)
        state.waiting.remove(trial.number, trial.iteration)
        del state.free[worker.name]
        number, iteration = state.next_slice, trial.iteration
        state.next_slice += 1
        begun = RunningSlice(number, trial.number, worker.name, iteration, iterations, time_s)
        state.running[number] = begun
        self._knowledge.slice_began(begun, state.comes_from_elsewhere(trial, worker.name))
        trial.phase, trial.slice = TrialPhase.RUNNING, number
        worker.phase, worker.slice = WorkerPhase.BUSY, number
        return StartSlice(
            slice=number,
            trial=trial.number,
            worker=worker.name,
            from_iteration=iteration,
            iterations=iterations,
            hyperparameters=trial.hyperparameters,
            checkpoint=trial.checkpoint,
            parent=trial.parent,
            reason=choice.reason,
        )

    def _trial_of(self, choice: Start) -> Trial:
        """The trial that the policy chose, if it waits and has so many iterations left."""
        trial = self._state.trials[choice.trial]
        left = self._settings.stop_iterations - trial.iteration
        if trial.phase is not TrialPhase.WAITING:
            raise ValueError(f"policy asked for trial {trial.number}, which is {trial.phase.value}")
        if not 1 <= choice.iterations <= left:
            raise ValueError(f"policy asked for {choice.iterations} of {left} iterations left")
        return trial

    def _within_timetable(self, trial: Trial, iterations: int) -> int:
        """No slice goes beyond a change of its trial's values."""
        timetable = self._settings.timetable
        room = timetable.room(trial.iteration) if timetable is not None else None
        return iterations if room is None else min(iterations, room)

    # Recalling

    def _recall_worth_it(self, time_s: float, decisions: list[Decision]) -> None:
        """Call retired workers back for whom the policy has work again, the fastest first."""
        state, roster = self._state, self._knowledge.roster
        while state.waiting and (name := roster.fastest_retired) is not None:
            worker = state.workers[name]
            reason = self._policy.recall(self.snapshot(time_s), worker)
            if reason is None:
                return
            decisions.append(self._call_back(worker, reason))

    def _recall_all(self, decisions: list[Decision]) -> bool:
        """Call every retired worker back, in the order in which they joined."""
        if self._knowledge.roster.fastest_retired is None:
            return False
        self._state.recalled = True
        reason = "every worker had retired while trials still wait"
        for worker in self._state.workers.values():
            if worker.phase is WorkerPhase.RETIRED:
                decisions.append(self._call_back(worker, reason))
        return True

    def _call_back(self, worker: Worker, reason: str) -> RecallWorker:
        self._state.set_free(worker)
        self._knowledge.worker_recalled(worker)
        return RecallWorker(worker.name, reason)
