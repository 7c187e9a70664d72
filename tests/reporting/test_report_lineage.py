"""Where weights come from, told from the slices, against those who knew when it happened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hrfs.core import evolution
from hrfs.core.decisions import Exploit
from hrfs.experiment.records import SliceRecord
from hrfs.reporting.report.lineage import Ancestry, Lineages, schedule_of
from hrfs.simulator.driver import play
from hrfs.simulator.policies import policy_for
from hrfs.simulator.spec import LearningCurve, LearningRate, Workload

SPEC = Path(__file__).parents[1] / "golden"


def record(number: int, trial: int, begin: int, end: int, **more: Any) -> SliceRecord:
    """Ends at ``number`` seconds; its learning rate is its trial's number unless told."""
    values = {"lr": more.pop("lr", trial)}
    at_s = float(more.pop("end_s", number))
    return SliceRecord(
        number, trial, "w", at_s - 1, at_s, begin, end, hyperparameters=values, **more
    )


def told(ancestry: Ancestry) -> list[int]:
    return [r.slice for r in ancestry.slices]


def test_weights_go_through_exploits() -> None:
    records = [
        record(1, 0, 0, 10),
        record(2, 1, 0, 10),
        record(3, 0, 10, 20),
        record(4, 1, 10, 20, parent=0, lr=7),
        record(5, 0, 20, 30),
        record(6, 1, 20, 30, lr=7),
    ]
    lineages = Lineages(records)
    # Trial 1 took over when its slice 2 had ended: of trial 0 only slice 1 had.
    assert told(lineages.ancestry(1)) == [1, 4, 6]
    assert told(lineages.ancestry(0)) == [1, 3, 5]
    (takeover,) = lineages.takeovers()
    assert (takeover.source.slice, takeover.before.slice, takeover.taker.slice) == (1, 2, 4)
    schedule = schedule_of(lineages.ancestry(1), "val/acc", 0.5, 3)
    assert schedule is not None
    stretches = [(s.from_iteration, s.to_iteration, s.trial) for s in schedule.stretches]
    assert stretches == [(0, 10, 0), (10, 30, 1)]
    assert schedule.stretches[1].hyperparameters == {"lr": 7}


def test_the_age_of_weights_is_theirs_and_not_the_clock_of_the_trial() -> None:
    records = [record(1, 0, 0, 30), record(2, 1, 0, 10), record(3, 1, 10, 20, parent=0)]
    schedule = schedule_of(Lineages(records).ancestry(1))
    assert schedule is not None
    assert [(s.from_iteration, s.to_iteration) for s in schedule.stretches] == [(0, 30), (30, 40)]


def test_weights_that_the_donor_had_taken_over_and_not_trained() -> None:
    records = [
        record(1, 2, 0, 10),
        record(2, 1, 0, 10),
        record(3, 0, 0, 10),
        record(5, 1, 10, 20, parent=2),
        record(4, 0, 10, 20, parent=1, end_s=6),
    ]
    # When trial 0 took over from 1 (at 3 s), that one held the weights of 2, since 2 s.
    assert told(Lineages(records).ancestry(0)) == [1, 4]


def test_ends_at_one_time_are_ordered_by_number() -> None:
    one = [record(1, 0, 0, 10), record(2, 1, 0, 10, end_s=1)]
    both = [record(3, 0, 10, 20, parent=1), record(4, 1, 10, 20, parent=0)]
    lineages = Lineages(one + both)
    # Trial 0 exploited at the end of slice 1, when slice 2 had not ended: nothing to take. That
    # was what trial 1 took from it at the end of slice 2, and not the weights of slice 1.
    for trial, slices in ((0, [3]), (1, [4])):
        assert told(lineages.ancestry(trial)) == slices
        assert lineages.ancestry(trial).gap
    assert lineages.takeovers() == []


def test_what_is_not_known_is_said() -> None:
    gone = Lineages([record(9, 1, 40, 50, parent=0)])
    ancestry = gone.ancestry(1)
    assert ancestry.gap == "the weights that slice 9 began with are of no known slice"
    assert schedule_of(ancestry) is None
    assert gone.takeovers() == []
    assert told(gone.ancestry(5)) == []
    assert schedule_of(gone.ancestry(5)) is None


@pytest.mark.parametrize("scheduler", ["hrfs", "hrfs_paper"])
def test_as_the_scheduler_decided(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every exploit's donor, and its iterations, are those that the core chose."""
    decided: list[Exploit] = []
    real = evolution.Exploit

    def noted(**parts: Any) -> Exploit:
        decided.append(real(**parts))
        return decided[-1]

    monkeypatch.setattr(evolution, "Exploit", noted)
    workload = _learning(Workload.read(SPEC / "two_gpu_generations.json"))
    records = play(workload, policy_for(scheduler, workload)).records
    assert len(decided) > 10
    wanted = {(e.trial, e.donor, e.iteration): e.donor_iteration for e in decided}
    by_slice = {r.slice: r for r in records}
    for takeover in Lineages(records).takeovers():
        taker, before = takeover.taker, takeover.before
        assert taker.parent is not None
        donors_iteration = wanted.pop((taker.trial, taker.parent, before.to_iteration))
        if takeover.source.trial == taker.parent:  # else it had itself just taken over
            assert takeover.source.to_iteration == donors_iteration
        assert by_slice[takeover.source.slice].end_s <= before.end_s
    assert not wanted, "an exploit was not found"
    whole = [Lineages(records).ancestry(trial) for trial in range(workload.trials)]
    assert not any(ancestry.gap for ancestry in whole)
    assert all(ancestry.slices[0].from_iteration == 0 for ancestry in whole)


def _learning(workload: Workload) -> Workload:
    rate = LearningRate(1e-4, 1.0, 0.01)
    curve = LearningCurve(half_lives_iterations=(200.0,), noise=0.02, learning_rate=rate)
    return replace(workload, curve=curve, trials=12, stop_iteration=400)
