"""From the core to the cluster: decisions are carried out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial

from hrfs.core.decisions import (
    Decision,
    Exploit,
    FinishTrial,
    RecallWorker,
    RetireWorker,
    RollBack,
    StartSlice,
    Wait,
)
from hrfs.experiment.records import RollbackRecord, SliceStart
from hrfs.tuning.context import Context, log
from hrfs.tuning.dispatch import Dispatched, launch
from hrfs.tuning.privates import point_at
from hrfs.tuning.trainable import SliceTrainable


class Outbound:
    """Does what the core decides, slices as soon as Tune has let go of their trials."""

    def __init__(self, context: Context, under_way: Sequence[StartSlice] = ()) -> None:
        """``under_way`` are slices that an earlier driver began: they are done again."""
        self._context = context
        self._to_start = list(under_way)
        self._takes_over: bool | None = None

    def carry_out(self, decision: Decision, facts: dict[str, Any]) -> None:
        """Do it now; a slice is only noted, for :meth:`dispatch`.

        ``facts`` are those of the event from which the decision follows; what a later driver
        must know of the deed is added to them.
        """
        context = self._context
        tell = context.observers.on_worker_state
        match decision:
            case StartSlice():
                self._to_start.append(decision)
            case Exploit():
                facts["copy"] = self._exploit(decision)
            case RollBack():
                rolled_back = RollbackRecord.of(decision, context.now_s)
                log.warning("%s", rolled_back.told())
                context.observers.on_rollback(rolled_back)
            case FinishTrial(trial=number, reason=reason):
                self._finish(number)
                context.observers.on_trial_end(context.now_s, number, reason)
            case RetireWorker(worker=worker, reason=reason):
                tell(context.now_s, worker, "retired", reason)
            case RecallWorker(worker=worker, reason=reason):
                tell(context.now_s, worker, "free", reason)
            case Wait(worker=worker, reason=reason):
                tell(context.now_s, worker, "waiting", reason)

    def _finish(self, number: int) -> None:
        """End a trial in Tune, whose results then name its last checkpoint."""
        context, trial = self._context, self._context.trials[number]
        last = context.core.state.trials[number].checkpoint
        point_at(trial, context.memory.exploits.path_for(number, last))
        context.controller.stop(trial)

    def _exploit(self, exploit: Exploit) -> str | None:
        """Returns where the trial's own copy of the donor's checkpoint lies."""
        context = self._context
        record = context.memory.exploits.take_over(
            exploit,
            context.trials[exploit.trial],
            context.trials[exploit.donor],
            context.core.state.trials[exploit.donor].hyperparameters,
            context.now_s,
        )
        context.observers.on_exploit(record)
        return context.memory.exploits.path_for(exploit.trial, exploit.checkpoint)

    def dispatch(self) -> int:
        """Hand out the slices that were decided and can start, and say how many did."""
        under_way = self._context.core.state.running
        started, later = 0, []
        for start in self._to_start:
            if start.slice not in under_way:
                continue  # its worker has left in the meantime
            trial = self._context.trials.get(start.trial)
            if trial is not None and trial.status == Trial.PAUSED:
                self._launch(start)
                started += 1
            else:
                later.append(start)
        self._to_start = later
        return started

    def _launch(self, start: StartSlice) -> None:
        context = self._context
        trial, bundle = context.trials[start.trial], context.pool.bundle(start.worker)
        checkpoint = context.memory.exploits.path_for(start.trial, start.checkpoint)
        if self._takes_over is None:  # asked once: Tune asks the cluster each time
            self._takes_over = issubclass(trial.get_trainable_cls(), SliceTrainable)
        launch(context.controller, trial, start, bundle, checkpoint, self._takes_over)
        dispatched = Dispatched(start, trial, bundle, context.now_s)
        context.dispatched[start.slice] = dispatched
        context.observers.on_slice_start(_started(dispatched))


def _started(dispatched: Dispatched) -> SliceStart:
    start = dispatched.start
    return SliceStart(
        slice=start.slice,
        trial=start.trial,
        worker=start.worker,
        start_s=dispatched.started_s,
        from_iteration=start.from_iteration,
        iterations=start.iterations,
        reason=start.reason,
        hyperparameters=start.hyperparameters,
    )
