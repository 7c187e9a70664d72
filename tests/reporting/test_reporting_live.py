"""The view that refreshes in place, as text."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from reporting_play import WORKERS, Play, make_plan
from rich.console import Console as RichConsole

from hrfs.core.search_space import Choice, Hyperparameter
from hrfs.experiment.records import WorkerInfo
from hrfs.reporting import Console, History
from hrfs.reporting.live import LiveView
from hrfs.reporting.live.columns import Column, fitting
from hrfs.reporting.live.run import expected_end, ratio_so_far
from hrfs.reporting.live.trends import bars
from hrfs.reporting.live.workers import worker_state
from hrfs.reporting.screen import Screen


def seen(
    slices: int, width: int = 100, height: int = 30, workers: int = 3, **changes: object
) -> list[str]:
    """Lines of the view after so many slices."""
    cpus = [WorkerInfo(f"box-cpu-{i}", "cpu", "box", 2, slowdown=4.0) for i in range(workers - 1)]
    history = History()
    play = Play([history], make_plan(**changes), [WORKERS[0], *cpus])  # type: ignore[arg-type]
    play.run(slices)
    page = RichConsole(file=io.StringIO(), width=width, height=height)
    page.print(LiveView(history).render(play.now_s + 0.1, width, height))
    assert isinstance(page.file, io.StringIO)
    return page.file.getvalue().splitlines()


def row(lines: list[str], first: str) -> list[str]:
    return next(line.split() for line in lines if line.split()[:1] == [first])


def test_three_parts_fit_a_usual_terminal() -> None:
    lines = seen(40, trials=20, stop_iterations=400)
    assert len(lines) <= 30
    assert max(len(line) for line in lines) <= 100
    assert lines[0].startswith("resnet18 on cifar10, scheduler hrfs_paper")
    assert "8000 iterations" in lines[1]
    assert "ends in " in lines[1]
    assert "3 of 3 workers train" in lines[2]
    assert "makespan / C* 1." in lines[2]
    assert "exploits 1" in lines[2]
    assert "failures 1" in lines[2]
    headings = ["worker", "kind", "node", "state", "trial", "slice", "done", "it/s", "share"]
    assert row(lines, "worker") == headings
    trial_headings = next(line for line in lines if line.strip().startswith("trial status"))
    assert trial_headings.split()[2:5] == ["score", "trend", "iterations"]
    assert trial_headings.split()[5:] == ["lr", "momentum", "last", "exploit", "worker"]


def test_a_worker_shows_how_far_its_slice_should_be() -> None:
    lines = seen(12, trials=20, stop_iterations=400)
    cells = row(lines, "box-gpu-0")
    assert cells[1:4] == ["gpu:A100", "box", "trains"]
    done, whole = next(cell for cell in cells if "/" in cell).split("/")
    assert whole == "10"
    assert 0 < int(done) < 10
    shares = [int(line.split()[-2]) for line in lines if line.startswith("box-")]
    assert sum(shares) == pytest.approx(100, abs=2)


def test_the_best_trial_is_first_and_has_a_trend() -> None:
    lines = seen(60, trials=6, stop_iterations=400)
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("trial status"))
    table = lines[start + 1 :]
    scores = [float(line.split()[2]) for line in table]
    assert scores == sorted(scores, reverse=True)
    assert all("▁" in line and "█" in line for line in table)
    assert any(" of " in line for line in table), "the trial that took over another one's weights"


def test_many_trials_and_workers_on_a_narrow_terminal() -> None:
    lines = seen(300, width=60, height=24, workers=40, trials=200, stop_iterations=400)
    assert len(lines) <= 24
    assert max(len(line) for line in lines) <= 60
    assert any(line.startswith("... 36 more workers: 36 trains") for line in lines)
    assert any(line.split()[:2] == ["...", "189"] for line in lines)
    assert row(lines, "worker") == ["worker", "state", "trial", "it/s", "share"]


def test_before_anything_is_measured() -> None:
    lines = seen(0, trials=20)
    assert "ends in ?" in lines[1]
    assert "makespan / C* ?" in lines[2]
    assert "?/10" in row(lines, "box-gpu-0")
    assert all("nan" not in line.lower() for line in lines)


def test_a_hyperparameter_may_be_called_as_a_column() -> None:
    space = {"score": Hyperparameter(Choice((0.125,)), Choice((0.125,)))}
    lines = seen(4, search_space=space, trials=2)
    heading = next(line for line in lines if line.strip().startswith("trial status"))
    assert heading.split().count("score") == 2
    assert "0.125" in lines[-1]


def test_the_states_of_workers() -> None:
    history = History()
    history.on_start(make_plan(), WORKERS)
    gpu, slow, other = (worker.name for worker in WORKERS)
    history.on_worker_state(1.0, slow, "retired", "could only delay the end")
    history.on_workers(1.0, [], [other])
    assert worker_state(history, gpu) == "free"
    assert worker_state(history, slow) == "retired"
    assert worker_state(history, other) == "gone"


def test_the_end_is_expected_between_no_waste_and_as_much_as_so_far() -> None:
    history = History()
    play = Play([history], make_plan(20, stop_iterations=400), exploit_slice=None)
    play.run(60)
    ratio = ratio_so_far(history, play.now_s, 0.0)
    assert ratio is not None
    assert ratio > 1.0
    end = expected_end(history, play.now_s, ratio)
    assert end is not None
    assert end.likely_s == pytest.approx(ratio * end.least_s)
    play_on = History()
    whole = Play([play_on], make_plan(20, stop_iterations=400), exploit_slice=None)
    whole.run()
    left_s = whole.now_s - play.now_s
    assert end.least_s * 0.98 < left_s < end.likely_s * 1.05


@pytest.mark.parametrize(
    ("scores", "shown"),
    [([], ""), ([1.0], ""), ([1.0, 2.0], "▁█"), ([0.5, 0.5], "▅▅"), ([3.0, 1.0, 2.0], "█▁▅")],
)
def test_bars(scores: list[float], shown: str) -> None:
    assert bars(scores) == shown


def test_columns_that_do_not_fit_go_in_their_order() -> None:
    columns = [Column("a", 5), Column("b", 5, leave_out=1), Column("c", 5, leave_out=2)]
    assert [c.name for c in fitting(columns, 17)] == ["a", "b", "c"]
    assert [c.name for c in fitting(columns, 16)] == ["a", "b"]
    assert [c.name for c in fitting(columns, 10)] == ["a"]
    assert [c.name for c in fitting(columns, 1)] == ["a"]


def test_a_slow_terminal_is_refreshed_rarely() -> None:
    """A refresh that takes 50 ms may come every 5 s: a hundredth of a core."""
    now = [0.0]

    class Slow(io.StringIO):
        def flush(self) -> None:
            now[0] += 0.05

    history = History()
    page = Screen(file=Slow(), width=100, height=30, force_terminal=True)
    console = Console(history, "live", 300.0, page, real_clock=lambda: now[0])
    play = Play([history, console], replace(make_plan(20), stop_iterations=400))
    play.start()
    begin_s, refreshes = now[0], 0
    while now[0] < begin_s + 60:
        before = now[0]
        console.on_tick(now[0])
        refreshes += now[0] > before
        now[0] += 0.1
    console.close()
    assert 3 <= refreshes <= 13
