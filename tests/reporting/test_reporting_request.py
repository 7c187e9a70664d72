"""What every trial of Ray's own PBT asks for is told at the start and kept in the summary."""

from __future__ import annotations

import io
from dataclasses import replace

from comparison_folders import REQUEST
from reporting_play import Play, make_plan
from rich.console import Console as Screen

from hrfs.experiment.launch import Outcome
from hrfs.reporting.console import Console
from hrfs.reporting.history import History
from hrfs.reporting.summary import summarise


def test_the_summary_keeps_the_choice() -> None:
    history = History()
    Play([history]).run()
    outcome = Outcome("finished", 0, 0.5, {}, request=REQUEST)
    assert summarise(history, {}, outcome)["request"] == REQUEST
    assert summarise(history, {}, replace(outcome, request=None))["request"] is None
    assert summarise(history, {})["request"] is None


def test_the_screen_tells_it_before_the_first_slice() -> None:
    history, told = History(), io.StringIO()
    plan = make_plan()
    asked = replace(plan, labels={**plan.labels, "request": "{CPU: 12} on 2 cpu workers"})
    screen = Screen(file=told, width=100)
    Play([history, Console(history, "plain", screen=screen)], plan=asked).start()
    assert "\nevery trial asks for {CPU: 12} on 2 cpu workers\n" in told.getvalue()
