"""A worker that slows down twentyfold, in virtual time: the core, the watchdog, the quarantine."""

from __future__ import annotations

import pytest

from hrfs.core.decisions import Decision, StartSlice
from hrfs.core.events import Event, SliceDone, TrialAdded, WorkerJoined, WorkerLeft
from hrfs.core.invariants import check
from hrfs.core.policies import make_policy
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.state import RunningSlice
from hrfs.tuning.quarantine import Quarantine
from hrfs.tuning.watchdog import Limits, Sight, Watchdog, most_expected_s

SECONDS = {"fast": 0.1, "a": 1.0, "b": 1.0}
TRIALS, STOP, INTERVAL = 8, 200, 20
SLOW_FROM_S, SLOWER = 30.0, 20.0
STEP_S = 0.5
STARTS_S = 2.0
"""For which a worker's process starts."""
LIMITS = Limits(multiple=5.0, least_s=5.0, unknown_s=60.0)


class Lab:
    """Steps of half a second; what a slice has done is counted by the pace of each moment."""

    def __init__(self, policy: str, limits: Limits) -> None:
        self.core = Scheduler(Settings(STOP, INTERVAL), make_policy(policy))
        self.watchdog, self.quarantine = Watchdog(limits), Quarantine(limits.least_s)
        self.now_s = 0.0
        self.left: dict[int, float] = {}
        self.out: dict[str, float] = {}
        self.abandoned: list[str] = []
        self.ready: set[str] = set()
        """Workers whose process has done a slice."""
        self.done: dict[str, float] = dict.fromkeys(SECONDS, 0.0)

    def run(self) -> float:
        for trial in range(TRIALS):
            self.tell(TrialAdded(0.0, trial, {}))
        for worker in SECONDS:
            self.tell(WorkerJoined(0.0, worker, "cpu"))
        while not self.core.finished:
            self.now_s += STEP_S
            assert self.now_s < 1e5
            self.step()
        return self.now_s

    def tell(self, event: Event) -> None:
        decisions: list[Decision] = self.core.handle(event)
        check(self.core)
        for start in (d for d in decisions if isinstance(d, StartSlice)):
            self.left[start.slice] = float(start.iterations)

    def pace(self, worker: str) -> float:
        tired = worker == "fast" and self.now_s > SLOW_FROM_S
        return SECONDS[worker] * (SLOWER if tired else 1.0)

    def is_at_work(self, one: RunningSlice) -> bool:
        return one.worker in self.ready or self.now_s > one.started_s + STARTS_S

    def step(self) -> None:
        running = dict(self.core.state.running)
        for number, one in running.items():
            if self.is_at_work(one):
                self.left[number] -= STEP_S / self.pace(one.worker)
            if self.left[number] <= 0:
                took_s = self.now_s - one.started_s
                if one.worker not in self.ready:
                    took_s -= STARTS_S
                self.done[one.worker] += one.iterations
                self.ready.add(one.worker)
                self.watchdog.note_done(number, one.worker)
                self.quarantine.finished_slice(one.worker)
                self.tell(SliceDone(self.now_s, number, took_s, 0.5, f"s{number}", 0.0))
        self.look()
        for worker in [w for w, until_s in self.out.items() if until_s <= self.now_s]:
            del self.out[worker]
            self.tell(WorkerJoined(self.now_s, worker, "cpu"))

    def look(self) -> None:
        sights = [
            Sight(
                slice=number,
                worker=one.worker,
                at_work=self.is_at_work(one),
                predicted_s=most_expected_s(self.core, one),
                hung_before=self.quarantine.faults(one.worker),
            )
            for number, one in self.core.state.running.items()
        ]
        for overdue in self.watchdog.look(self.now_s, sights):
            self.abandoned.append(overdue.worker)
            self.ready.discard(overdue.worker)
            self.out[overdue.worker] = self.now_s + self.quarantine.enter(overdue.worker)
            self.tell(WorkerLeft(self.now_s, overdue.worker, overdue.reason, hung=True))


@pytest.mark.parametrize("policy", ["hrfs", "hrfs_paper", "greedy"])
def test_a_worker_that_slows_down_twentyfold_is_given_up_and_then_used_as_what_it_is(
    policy: str,
) -> None:
    lab = Lab(policy, LIMITS)
    end_s = lab.run()
    assert set(lab.abandoned) == {"fast"}
    assert len(lab.abandoned) <= 3, "the limit doubles: no slice is too long for ever"
    speed = {name: 1 / seconds for name, seconds in SECONDS.items()}
    work = TRIALS * STOP - SLOW_FROM_S * sum(speed.values())
    slow = {**speed, "fast": speed["fast"] / SLOWER}
    bound_s = SLOW_FROM_S + work / sum(slow.values())
    assert end_s < 1.2 * bound_s
    if policy == "hrfs":
        assert lab.abandoned == ["fast"], "its next slice is a short one"
        assert end_s < 1.06 * bound_s
        estimate = lab.core.snapshot(end_s).speeds.estimate("fast")
        assert estimate is not None
        assert estimate.seconds_per_iteration == pytest.approx(2.0, rel=0.2)
        assert lab.done["fast"] > SLOW_FROM_S * speed["fast"] + 50, "it is used, slow as it is"


def test_a_worker_that_stops_for_ever_holds_few_trials_and_ever_more_seldom() -> None:
    lab = Lab("hrfs", LIMITS)
    tired = lab.pace
    lab.pace = lambda worker: tired(worker) * (1e9 if tired(worker) == 2.0 else 1.0)  # type: ignore[method-assign]
    end_s = lab.run()
    speeds = [1 / seconds for seconds in SECONDS.values()]
    bound_s = SLOW_FROM_S + (TRIALS * STOP - SLOW_FROM_S * sum(speeds)) / 2.0
    assert set(lab.abandoned) == {"fast"}
    assert 2 < len(lab.abandoned) < 8
    assert end_s < 1.15 * bound_s
