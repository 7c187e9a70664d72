"""When a worker that was taken out may come back; Ray's answers are planted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hrfs.experiment.cluster import ClusterSettings, NodeAllocation

pytestmark = pytest.mark.ray


class Answers:
    """What Ray says: its nodes by name, and whether a probe is back."""

    def __init__(self) -> None:
        self.nodes = {"a": "id-a", "b": "id-b"}
        self.sent: list[str] = []
        self.back = True
        self.fails = False

    def listing(self) -> list[dict[str, Any]]:
        return [
            {
                "Alive": True,
                "NodeID": node_id,
                "NodeManagerHostname": name,
                "NodeManagerAddress": "10.0.0.1",
                "Resources": {"CPU": 1.0},
            }
            for name, node_id in self.nodes.items()
        ]

    def probe(self, bundle: Any) -> str:
        self.sent.append(bundle.node_id)
        return "probe"

    def wait(self, refs: list[str], timeout: float) -> tuple[list[str], list[str]]:
        return (refs, []) if self.back else ([], refs)

    def get(self, ref: str) -> None:
        import ray

        if self.fails:
            raise ray.exceptions.RayError("no answer")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    import ray

    from hrfs.tuning import pool

    told = Answers()
    fake = SimpleNamespace(
        nodes=told.listing, wait=told.wait, get=told.get, exceptions=ray.exceptions
    )
    monkeypatch.setattr(pool, "ray", fake)
    monkeypatch.setattr(pool, "_probe", told.probe)
    return told


@pytest.fixture
def pool(answers: Answers) -> Any:
    from hrfs.tuning.pool import WorkerPool

    one = NodeAllocation(cpus_per_worker=1)
    made = WorkerPool(ClusterSettings("address", default_allocation=one, reserved_cpus=0))
    made.discover()
    return made


def joined(pool: Any, now_s: float) -> list[str]:
    return [bundle.info.name for bundle in pool.look(now_s).joined]


def test_a_worker_whose_process_died_is_probed_at_once(pool: Any, answers: Answers) -> None:
    pool.quarantine("a/cpu:0")
    answers.back = False
    assert joined(pool, 1.0) == []
    assert answers.sent == ["id-a"]
    answers.back = True
    assert joined(pool, 2.0) == ["a/cpu:0"]
    assert answers.sent == ["id-a"]


def test_a_worker_that_hung_is_probed_only_when_its_time_is_over(
    pool: Any, answers: Answers
) -> None:
    pool.quarantine("a/cpu:0", until_s=60.0)
    assert joined(pool, 59.0) == []
    assert answers.sent == []
    assert joined(pool, 60.0) == ["a/cpu:0"]


def test_a_probe_that_fails_is_sent_again(pool: Any, answers: Answers) -> None:
    pool.quarantine("a/cpu:0")
    answers.fails = True
    assert joined(pool, 1.0) == []
    answers.fails = False
    assert joined(pool, 2.0) == ["a/cpu:0"]
    assert answers.sent == ["id-a", "id-a"]


def test_the_time_counts_no_more_once_no_other_worker_is_left(pool: Any) -> None:
    pool.quarantine("a/cpu:0", until_s=1e6)
    pool.quarantine("b/cpu:0", until_s=1e6)
    assert joined(pool, 1.0) == ["a/cpu:0"]
    assert joined(pool, 2.0) == []


def test_another_node_of_the_same_name_is_another_machine(pool: Any, answers: Answers) -> None:
    pool.quarantine("a/cpu:0", until_s=1e6)
    assert joined(pool, 1.0) == []
    answers.nodes["a"] = "id-new"
    assert joined(pool, 2.0) == ["a/cpu:0"]
    assert answers.sent == ["id-new"]


def test_a_dead_node_that_is_still_listed_comes_in_by_no_other_name(
    pool: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.quarantine("a/cpu:0")
    answers.back = False  # its node is dead, and answers no probe
    from hrfs.tuning import pool as module

    dead, other = answers.listing()
    again = dead | {"NodeID": "id-0"}  # would be named first, by its id
    monkeypatch.setattr(module.ray, "nodes", lambda: [dead, other, again])
    assert joined(pool, 1.0) == ["a~2/cpu:0"]
    assert pool.bundle("a~2/cpu:0").node_id == "id-0"
    monkeypatch.setattr(module.ray, "nodes", lambda: [other, again])
    change = pool.look(2.0)
    assert (change.joined, change.left) == ([], {}), "it keeps its name"


def test_a_stay_can_be_made_longer_or_ended(pool: Any) -> None:
    assert not pool.quarantine_longer("a/cpu:0", 1e6), "it is in"
    pool.quarantine("a/cpu:0", until_s=5.0)
    assert pool.quarantine_longer("a/cpu:0", 1e6)
    assert joined(pool, 10.0) == []
    pool.release("a/cpu:0")
    assert joined(pool, 20.0) == ["a/cpu:0"]
