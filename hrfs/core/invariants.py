"""What must hold after every event, whatever happened."""

from __future__ import annotations

from collections import Counter

from hrfs.core.scheduler import Scheduler
from hrfs.core.state import State, TrialPhase, WorkerPhase


class InvariantError(AssertionError):
    """The scheduling core contradicts itself."""


def check(scheduler: Scheduler) -> None:
    """Verify the state; for tests and for debugging, at any time between two events.

    Raises:
        InvariantError: what is broken, with the objects concerned.
    """
    state = scheduler.state
    _check_trials(state, scheduler.settings.stop_iterations)
    _check_populations(scheduler)
    _check_workers(state)
    if (
        state.waiting
        and not state.running
        and any(w.phase in (WorkerPhase.FREE, WorkerPhase.RETIRED) for w in state.workers.values())
    ):
        raise InvariantError("trials wait, nothing runs, and a living worker got nothing")


def _check_trials(state: State, stop_iterations: int) -> None:
    waiting = Counter(place.trial for place in state.waiting)
    running = Counter(s.trial for s in state.running.values())
    if not waiting.keys() | running.keys() <= state.trials.keys():
        raise InvariantError("a trial waits or runs that was never added")
    if any(state.trials[s.trial].iteration != s.from_iteration for s in state.running.values()):
        raise InvariantError("a slice runs from an iteration that is not its trial's")
    for trial in state.trials.values():
        places = waiting[trial.number], running[trial.number]
        expected = {
            TrialPhase.WAITING: (1, 0),
            TrialPhase.RUNNING: (0, 1),
            TrialPhase.FINISHED: (0, 0),
        }[trial.phase]
        if places != expected:
            raise InvariantError(f"{trial}: (waiting, running) is {places}, not {expected}")
        if (trial.slice is not None) != (trial.phase is TrialPhase.RUNNING):
            raise InvariantError(f"{trial}: runs without a slice, or has one without running")
        if trial.iteration + trial.lost_iterations != trial.recorded_iterations:
            raise InvariantError(f"{trial}: iterations differ from the sum over its slices")
        before = trial.before
        if before is not None and not 0 <= before.iteration <= trial.iteration:
            raise InvariantError(f"{trial}: the state before is a later one")
        if trial.lost_iterations < 0:
            raise InvariantError(f"{trial}: a trial that went back did not lose iterations")
        if not 0 <= trial.iteration <= stop_iterations:
            raise InvariantError(f"{trial}: beyond the {stop_iterations} iterations of the run")
        if trial.parent is not None and trial.checkpoint is None:
            raise InvariantError(f"{trial}: took over a trial without weights")
    iterations = [place.iteration for place in state.waiting]
    if iterations != sorted(iterations):
        raise InvariantError(f"the waiting list is out of order: {iterations}")
    for place in state.waiting:
        trial = state.trials[place.trial]
        if (trial.iteration, trial.last_worker) != (place.iteration, place.home):
            raise InvariantError(f"{place}: its trial's iteration or home is another, {trial}")
    if state.leader != max((t.iteration for t in state.trials.values()), default=0):
        raise InvariantError(f"leader is {state.leader}, which no trial has reached")


def _check_populations(scheduler: Scheduler) -> None:
    state, populations = scheduler.state, scheduler.settings.populations
    for trial in state.trials.values():
        mine = populations.of(trial.number)
        if trial.parent is not None and populations.of(trial.parent) != mine:
            raise InvariantError(f"{trial}: took over a trial of another population")
        stopped = scheduler.settings.stop_on_target and mine in state.reached
        if stopped and trial.phase is TrialPhase.WAITING:
            raise InvariantError(f"{trial}: waits although its population has stopped")
    if state.target_reached != (len(state.reached) == len(populations)):
        raise InvariantError(f"populations at the target are {state.reached}, told otherwise")


def _check_workers(state: State) -> None:
    if not state.free.keys() <= state.workers.keys():
        raise InvariantError(f"free workers {list(state.free)} are not all known")
    present = [worker for worker in state.workers.values() if worker.phase is not WorkerPhase.GONE]
    if state.present != len(present):
        raise InvariantError(f"{state.present} workers are counted as present, not {len(present)}")
    for worker in state.workers.values():
        if (worker.name in state.free) != (worker.phase is WorkerPhase.FREE):
            raise InvariantError(f"{worker}: listed as free and is not, or is and is not listed")
        if (worker.slice is not None) != (worker.phase is WorkerPhase.BUSY):
            raise InvariantError(f"{worker}: busy without a slice, or a slice without being busy")
    holders = {w.slice: w.name for w in state.workers.values() if w.slice is not None}
    if {number: s.worker for number, s in state.running.items()} != holders:
        raise InvariantError(f"slices under way {state.running} are not those held, {holders}")
    if any(state.trials[s.trial].slice != number for number, s in state.running.items()):
        raise InvariantError(f"slices under way {state.running} are not those of their trials")
    if any(number != s.number or number >= state.next_slice for number, s in state.running.items()):
        raise InvariantError(f"slices under way {state.running} are misnumbered")
