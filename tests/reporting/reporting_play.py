"""Plays a small consistent run to observers: unlike workers, exploits, one failure, one NaN."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace

from hrfs.core.search_space import Choice, Hyperparameter, Uniform
from hrfs.experiment.observer import Observers, RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import (
    ExploitRecord,
    FailureRecord,
    SliceRecord,
    SliceStart,
    WorkerInfo,
)

WORKERS = (
    WorkerInfo("box-gpu-0", "gpu:A100", "box", cpus=1, gpus=1),
    WorkerInfo("box-cpu-0", "cpu", "box", cpus=2, slowdown=4.0),
    WorkerInfo("box-cpu-1", "cpu", "box", cpus=2, slowdown=4.0),
)
SECONDS_PER_ITERATION = {"gpu:A100": 0.05, "cpu": 0.2}


def make_plan(trials: int = 4, **changes: object) -> Plan:
    """lr and momentum are mutated, weight_decay is not."""
    plan = Plan(
        trials=trials,
        stop_iterations=40,
        interval_iterations=10,
        search_space={
            "lr": Hyperparameter(Uniform(0.001, 1), Uniform(0.0001, 1)),
            "momentum": Hyperparameter(Uniform(0.001, 1), Choice((0.8, 0.9, 0.99))),
            "weight_decay": Hyperparameter(Choice((0.0001,))),
        },
        target_score=0.7,
        seeds=(3,),
        labels={
            "model": "resnet18",
            "dataset": "cifar10",
            "scheduler": "hrfs_paper",
            "batch_size": 512,
            "cluster": "emulated: 1 gpu, 2 cpu on one machine",
        },
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


class Play:
    """A driver in virtual time: each free worker takes the trial that is least advanced."""

    def __init__(
        self,
        observers: Sequence[RunObserver],
        plan: Plan | None = None,
        workers: Sequence[WorkerInfo] = WORKERS,
        fail_slice: int | None = 2,
        diverge_slice: int | None = 3,
        exploit_slice: int | None = 5,
    ) -> None:
        self.tell = Observers(observers)
        self.plan = plan or make_plan()
        self.workers = workers
        self.fail, self.diverge, self.exploit = fail_slice, diverge_slice, exploit_slice
        self.at = dict.fromkeys(range(self.plan.trials), 0)
        self.values = {t: self.plan.initial_hyperparameters(t) for t in self.at}
        self.parent: dict[int, int] = {}
        self.waiting = list(self.at)
        self.heap: list[tuple[float, int, SliceStart, WorkerInfo]] = []
        self.slices = 0
        self.now_s = 0.0

    def start(self) -> None:
        """Tell the start of the run and of the first slices."""
        self.tell.on_start(self.plan, self.workers)
        for worker in self.workers:
            self._serve(worker)

    def run(self, most_slices: int | None = None) -> None:
        """Play until nothing is left, or until so many slices have ended."""
        self.start()
        while self.heap and (most_slices is None or most_slices > 0):
            most_slices = None if most_slices is None else most_slices - 1
            self.now_s, _, start, worker = heapq.heappop(self.heap)
            if start.slice == self.fail:
                lost = FailureRecord(
                    self.now_s, start.slice, start.trial, worker.name, "killed", "worker lost"
                )
                self.tell.on_failure(lost)
                self.waiting.append(start.trial)
            else:
                self._finish(start, worker)
            self.tell.on_tick(self.now_s)
            self._serve(worker)
        if not self.heap:
            self.tell.on_end(self.now_s)

    def _serve(self, worker: WorkerInfo) -> None:
        if not self.waiting:
            return
        trial = min(self.waiting, key=lambda t: (self.at[t], t))
        self.waiting.remove(trial)
        iterations = min(10 if worker.on_gpu else 5, self.plan.stop_iterations - self.at[trial])
        start = SliceStart(
            slice=self.slices,
            trial=trial,
            worker=worker.name,
            start_s=self.now_s,
            from_iteration=self.at[trial],
            iterations=iterations,
            reason="least advanced",
            hyperparameters=dict(self.values[trial]),
        )
        self.slices += 1
        end_s = self.now_s + 0.1 + iterations * SECONDS_PER_ITERATION[worker.kind]
        heapq.heappush(self.heap, (end_s, start.slice, start, worker))
        self.tell.on_slice_start(start)

    def _finish(self, start: SliceStart, worker: WorkerInfo) -> None:
        to = start.from_iteration + start.iterations
        score = 1 - math.exp(-to / 25) + 0.001 * start.trial
        if start.slice == self.diverge:
            score = math.nan
        self.at[start.trial] = to
        self.tell.on_slice(
            SliceRecord(
                slice=start.slice,
                trial=start.trial,
                worker=worker.name,
                start_s=start.start_s,
                end_s=self.now_s,
                from_iteration=start.from_iteration,
                to_iteration=to,
                worker_kind=worker.kind,
                score=score,
                reason=start.reason,
                parent=self.parent.pop(start.trial, None),
                train_s=start.iterations * SECONDS_PER_ITERATION[worker.kind],
                evaluate_s=0.1,
                metrics={"val/acc": score, "val/loss": 1 / 3 + to, "train/loss": 2.3 - to / 30},
                hyperparameters=start.hyperparameters,
            )
        )
        if start.slice == self.exploit:
            self._exploit(start.trial)
        if to >= self.plan.stop_iterations:
            self.tell.on_trial_end(self.now_s, start.trial, "all iterations done")
        else:
            self.waiting.append(start.trial)

    def _exploit(self, trial: int) -> None:
        population = self.plan.populations.of
        peers = [t for t in self.at if population(t) == population(trial)]
        donor = max(peers, key=lambda t: (self.at[t], t != trial, t))
        before = self.values[trial]
        after = {**self.values[donor], "lr": self.values[donor]["lr"] * 0.8, "momentum": 0.9}
        self.values[trial] = after
        self.parent[trial] = donor
        self.tell.on_exploit(
            ExploitRecord(
                time_s=self.now_s,
                trial=trial,
                donor=donor,
                iteration=self.at[trial],
                donor_iteration=self.at[donor],
                before=before,
                after=after,
                operations={"lr": "x0.8", "momentum": "resampled"},
            )
        )
