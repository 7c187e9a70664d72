"""Who is to blame for exceptions, and for how long faults keep a worker away."""

from __future__ import annotations

from hrfs.tuning.blame import Blame, Culprit, Verdict
from hrfs.tuning.quarantine import FORGIVEN_AFTER, LONGEST_S, Quarantine

ALL = ("good", "bad", "third")


def test_a_worker_that_fails_what_others_train_well_is_to_blame() -> None:
    blame = Blame()
    assert blame.failed(1, "bad", ALL) is Verdict.NOTHING
    assert blame.done(1, "good") == [], "one failure is not enough"
    assert blame.failed(2, "bad", ALL) is Verdict.SUSPECTED
    assert blame.done(2, "third") == [Culprit("bad", 2, {1: 1, 2: 1})]


def test_the_same_trial_twice_is_enough() -> None:
    blame = Blame()
    blame.failed(0, "bad", ALL)
    assert blame.failed(0, "bad", ALL) is Verdict.SUSPECTED
    assert not blame.is_trials_own(0, ("good", "third")), "nobody else has tried it"
    assert blame.done(0, "good") == [Culprit("bad", 2, {0: 2})]
    assert blame.is_trials_own(0, ALL)


def test_a_culprit_that_fails_again_is_to_blame_at_once_until_it_finishes_a_slice() -> None:
    blame = Blame()
    for _ in range(2):
        blame.failed(0, "bad", ALL)
    blame.done(0, "good")
    assert blame.failed(3, "bad", ALL) is Verdict.TO_BLAME
    assert blame.done(3, "bad") == []
    assert blame.failed(3, "bad", ALL) is Verdict.NOTHING


def test_a_trial_that_fails_on_several_workers_is_to_blame_itself() -> None:
    blame = Blame()
    blame.failed(5, "good", ALL)
    assert not blame.is_trials_own(5, ALL)
    blame.failed(5, "bad", ALL)
    assert blame.is_trials_own(5, ALL)
    assert blame.suspects_of(5) == ["good", "bad"]


def test_a_worker_that_trains_other_trials_is_not_to_blame() -> None:
    blame = Blame()
    blame.failed(5, "good", ALL)
    blame.done(1, "good")
    blame.failed(5, "good", ALL)
    assert blame.done(5, "bad") == []


def test_without_another_worker_nobody_is_suspected_and_the_trial_is_charged() -> None:
    blame = Blame()
    for _ in range(5):
        assert blame.failed(0, "only", ("only",)) is Verdict.NOTHING
    assert blame.is_trials_own(0, ("only",))


def test_where_everything_fails_everywhere_the_last_worker_is_not_suspected() -> None:
    blame = Blame()
    blame.failed(0, "a", ("a", "b"))
    assert blame.failed(1, "a", ("a", "b")) is Verdict.SUSPECTED
    for trial in (0, 1, 2):
        assert blame.failed(trial, "b", ("b",)) is Verdict.NOTHING


def test_each_fault_keeps_a_worker_away_for_twice_as_long() -> None:
    quarantine = Quarantine(first_s=10.0)
    assert [quarantine.enter("w") for _ in range(4)] == [10.0, 20.0, 40.0, 80.0]
    assert quarantine.faults("w") == 4
    assert quarantine.enter("other") == 10.0
    for _ in range(100):
        longest_s = quarantine.enter("w")
    assert longest_s == LONGEST_S


def test_faults_are_forgotten_after_many_slices() -> None:
    quarantine = Quarantine(first_s=10.0)
    quarantine.enter("w")
    for _ in range(FORGIVEN_AFTER - 1):
        quarantine.finished_slice("w")
    assert quarantine.enter("w") == 20.0, "a fault begins the count anew"
    for _ in range(FORGIVEN_AFTER):
        quarantine.finished_slice("w")
    assert quarantine.faults("w") == 0
    assert quarantine.enter("w") == 10.0
