"""What follows of exceptions for trials and workers; what Ray and Tune say is planted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hrfs.core.events import SliceFailed, TrialRemoved, WorkerLeft
from hrfs.core.state import RunningSlice, Trial, Worker
from hrfs.experiment.cluster import ClusterSettings

pytestmark = pytest.mark.ray


class Bench:
    """Workers ``a`` and ``b``, and the losses of what is said to have failed on them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, max_failures: int) -> None:
        from hrfs.tuning import losses
        from hrfs.tuning.failures import Failure

        def planted(error: Any) -> Failure:
            return Failure("RuntimeError: planted", "exception")

        monkeypatch.setattr(losses, "read_failure", planted)
        self.present, self.out = ["a", "b"], dict[str, float]()
        self.own_failures: dict[int, int] = {}
        self.events: list[Any] = []
        self.facts: list[dict[str, Any]] = []
        self.slices = 0
        self.context: Any = SimpleNamespace(
            now_s=100.0,
            cluster=ClusterSettings(),
            dispatched={},
            memory=SimpleNamespace(
                own_failures=self.own_failures,
                exploits=SimpleNamespace(path_for=lambda trial, checkpoint: None),
            ),
            core=SimpleNamespace(
                state=SimpleNamespace(
                    trials={n: Trial(n, {}) for n in range(3)},
                    workers={n: Worker(n, "cpu") for n in self.present},
                )
            ),
            controller=SimpleNamespace(error_of=lambda trial: None, let_cool=lambda worker: None),
            observers=SimpleNamespace(on_workers=lambda *told: None),
            tell_lost=lambda *told: None,
            pool=self,
        )
        self.losses = losses.Losses(self.context, self.note, max_failures)

    @property
    def workers(self) -> list[Any]:
        return [SimpleNamespace(name=name, kind="cpu") for name in self.present]

    def note(self, event: Any, **facts: Any) -> None:
        self.events.append(event)
        self.facts.append(facts)

    def quarantine(self, worker: str, until_s: float) -> None:
        self.present.remove(worker)
        self.out[worker] = until_s

    def quarantine_longer(self, worker: str, until_s: float) -> bool:
        self.out[worker] = until_s
        return worker not in self.present

    def release(self, worker: str) -> None:
        self.out[worker] = 0.0

    def fail(self, trial: int, worker: str) -> None:
        lost = RunningSlice(self.slices, trial, worker, 0, 5, 0.0)
        bundle = SimpleNamespace(info=SimpleNamespace(name=worker))
        self.context.dispatched[self.slices] = SimpleNamespace(bundle=bundle)
        self.slices += 1
        self.losses.explain(SimpleNamespace(status="PENDING"), lost)  # type: ignore[arg-type]


def test_a_trial_is_given_up_only_when_it_has_failed_on_several_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch, max_failures=1)
    bench.fail(1, "a")
    assert isinstance(bench.events[-1], SliceFailed)
    bench.fail(1, "a")
    assert bench.events[-1] == WorkerLeft(100.0, "a", "RuntimeError: planted")
    assert bench.out == {"a": 160.0}, "a is suspected, and b is to try the trial"
    bench.fail(1, "b")
    assert bench.events[-1] == TrialRemoved(100.0, 1, "gave up: RuntimeError: planted")
    assert bench.out == {"a": 0.0}, "it was not the worker's fault"
    assert bench.own_failures == {1: 3}


def test_a_worker_on_which_all_fails_is_taken_out_and_its_trials_are_not_charged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(monkeypatch, max_failures=1)
    bench.fail(0, "a")
    bench.fail(2, "a")
    assert bench.losses.note_done(0, "b") == []
    assert bench.losses.note_done(2, "b") == [[0, 1], [2, 1]]
    assert bench.own_failures == {0: 0, 2: 0}
    assert bench.out == {"a": 700.0}
    assert (
        "worker a is to blame and taken out for 600 s: its last 2 slices failed, and their trials "
        "went on elsewhere; they are not charged"
    ) in caplog.text
    bench.present.append("a")
    bench.fail(1, "a")
    assert bench.events[-1] == WorkerLeft(100.0, "a", "RuntimeError: planted")
    assert bench.facts[-1] == {"kind": "exception"}, "it is no failure of the trial's own"
    assert bench.own_failures == {0: 0, 2: 0}
    assert bench.out == {"a": 1300.0}
    assert "worker a fails again: it is taken out for 1200 s" in caplog.text


def test_the_only_worker_is_never_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, max_failures=2)
    bench.present.remove("b")
    for _ in range(3):
        bench.fail(1, "a")
    assert bench.out == {}
    assert bench.events[-1] == TrialRemoved(100.0, 1, "gave up: RuntimeError: planted")


def test_a_process_that_outlives_its_node_in_rays_list_ends_with_its_slice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, abandoned = Bench(monkeypatch, max_failures=1), list[Any]()
    bench.context.controller.abandon = abandoned.append
    trial = SimpleNamespace(status="RUNNING")
    bundle = SimpleNamespace(info=SimpleNamespace(name="a"))
    bench.context.dispatched[0] = SimpleNamespace(bundle=bundle, trial=trial)
    bench.losses.take_out("a", "node a is gone")
    assert abandoned == [trial]
    assert bench.context.dispatched == {}
    assert [(event.worker, event.reason) for event in bench.events] == [("a", "node a is gone")]
