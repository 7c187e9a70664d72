"""The benchmark of the observers tells them a whole run."""

from __future__ import annotations

import re
import sys

import pytest

from benchmarks import reporting
from hrfs.reporting import History


def test_the_events_are_a_whole_run_in_order() -> None:
    plan = reporting.plan_of(3)
    infos, records = reporting.slices(plan, 2)
    history = History()
    history.on_start(plan, infos)
    for _, tell in reporting.told(records):
        tell(history)
    assert history.records == sorted(records, key=lambda r: (r.end_s, r.slice))
    assert [trial.iterations for trial in history.trials.values()] == [reporting.STOP] * 3
    assert not history.running


@pytest.mark.slow
def test_it_prints_a_row_per_observer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["reporting", "--trials", "2", "--workers", "2"])
    reporting.main()
    shown = capsys.readouterr().out
    for name in ("history alone", "slices.csv", "trials.csv", "TensorBoard"):
        assert re.search(rf"{name} +│ +\d+\.\d\d", shown), name
    assert "refresh: median " in shown
