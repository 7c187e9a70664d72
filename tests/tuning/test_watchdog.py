"""When a slice counts as hung, told by times alone."""

from __future__ import annotations

from hrfs.tuning.watchdog import LONGEST_STEP_S, LOOK_S, Limits, Overdue, Sight, Watchdog

LIMITS = Limits(multiple=5.0, least_s=10.0, unknown_s=100.0)


def overdue_after_s(
    *sights: Sight, limits: Limits = LIMITS, step_s: float = 1.0, most_s: float = 5000.0
) -> tuple[float, Overdue]:
    """Looks every ``step_s`` at each of ``sights`` in turn, the last one for good."""
    watchdog, shown = Watchdog(limits), list(sights)
    now_s = 0.0
    while now_s < most_s:
        sight = shown.pop(0) if len(shown) > 1 else shown[0]
        found = watchdog.look(now_s, [sight])
        if found:
            return now_s, found[0]
        now_s += step_s
    raise AssertionError("never")


def sight(**changes: object) -> Sight:
    values = {"slice": 7, "worker": "w", "at_work": True, "predicted_s": 4.0}
    return Sight(**(values | changes))  # type: ignore[arg-type]


def test_a_slice_is_overdue_after_a_multiple_of_its_predicted_time() -> None:
    after_s, overdue = overdue_after_s(sight())
    assert after_s == 21.0
    assert (overdue.slice, overdue.worker, overdue.at_work) == (7, "w", True)
    assert overdue.reason == ("it hangs: not done within 20 s, where at most 4 s were expected")


def test_but_never_before_the_least_of_seconds() -> None:
    assert overdue_after_s(sight(predicted_s=0.001))[0] == 11.0


def test_where_nothing_can_be_predicted_the_absolute_limit_holds() -> None:
    after_s, overdue = overdue_after_s(sight(predicted_s=None))
    assert after_s == 101.0
    assert overdue.reason == "it hangs: not done within 100 s"


def test_that_limit_doubles_with_each_time_that_the_worker_hung() -> None:
    assert overdue_after_s(sight(predicted_s=None, hung_before=3))[0] == 801.0
    assert overdue_after_s(sight(hung_before=3))[0] == 21.0, "its speed is known again"


def test_the_start_of_a_process_does_not_count() -> None:
    starting, working = sight(at_work=False), sight()
    after_s, overdue = overdue_after_s(*[starting] * 90, working)
    assert after_s == 90.0 + 101.0, "and its first slice may take as long as an unknown one"
    assert "at most 4 s" in overdue.reason


def test_how_long_first_slices_take_on_a_worker_is_known_from_the_one_before() -> None:
    watchdog = Watchdog(LIMITS)
    for now_s in range(3):
        assert watchdog.look(now_s, [sight(slice=1, at_work=False)]) == []
    for now_s in range(3, 24):  # 20 s at work
        assert watchdog.look(now_s, [sight(slice=1, predicted_s=None)]) == []
    watchdog.note_done(1, "w")
    seconds = 5.0 * (4.0 + 20.0 + LOOK_S)
    assert watchdog.look(24.0, [sight(slice=2, at_work=False)]) == []
    for now_s in range(25, 25 + int(seconds) + 1):
        assert watchdog.look(now_s, [sight(slice=2)]) == []
    (overdue,) = watchdog.look(25 + int(seconds) + 1, [sight(slice=2)])
    assert overdue.slice == 2
    assert watchdog.look(200.0, [sight(slice=3, worker="other", at_work=False)]) == []


def test_a_process_that_never_starts_is_told_as_such() -> None:
    after_s, overdue = overdue_after_s(sight(at_work=False))
    assert after_s == 101.0
    assert not overdue.at_work
    assert overdue.reason == "its process has not started within 100 s"


def test_seconds_in_which_the_driver_stood_still_do_not_count() -> None:
    watchdog = Watchdog(LIMITS)
    assert watchdog.look(0.0, [sight()]) == []
    assert watchdog.look(1e6, [sight()]) == []
    assert watchdog.look(1e6 + 20.0 - LONGEST_STEP_S, [sight()]) == []


def test_slices_that_have_ended_are_forgotten() -> None:
    watchdog = Watchdog(LIMITS)
    for now_s in range(20):
        assert watchdog.look(now_s, [sight()]) == []
    assert watchdog.look(20.0, []) == []
    assert watchdog.look(21.0, [sight()]) == []
    assert watchdog.look(22.0, [sight()]) == []


def test_it_looks_now_and_then_and_not_at_all_without_a_multiple() -> None:
    watchdog = Watchdog(LIMITS)
    assert watchdog.is_due(0.0)
    watchdog.look(0.0, [])
    assert not watchdog.is_due(LOOK_S / 2)
    assert watchdog.is_due(LOOK_S)
    assert not Watchdog(Limits(None, 10.0, 100.0)).is_due(0.0)
