"""What the screen shows, as text."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from reporting_play import WORKERS, Play, make_plan

import hrfs
from hrfs.core.search_space import Choice, Hyperparameter
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import Outcome
from hrfs.experiment.records import FailureRecord, WorkerInfo
from hrfs.reporting import Console, History, make_observers, print_summary, summarise
from hrfs.reporting.estimate import expected_remaining_s, present_speeds
from hrfs.reporting.screen import Screen
from hrfs.reporting.trial_table import progress, trial_rows
from hrfs.reporting.words import clock, describe_workers

ROOT = Path(hrfs.__file__).parents[1]


def screen(terminal: bool = False, height: int = 40) -> Screen:
    return Screen(
        file=io.StringIO(), width=100, height=height, force_terminal=terminal, highlight=False
    )


def text_of(screen: Screen) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def shown(play_slices: int | None = None, every_s: float = 2.0, **changes: object) -> str:
    history, page = History(), screen()
    console = Console(history, "plain", every_s, page)
    Play([history, console], make_plan(**changes)).run(play_slices)  # type: ignore[arg-type]
    return text_of(page)


def test_the_start_names_the_workers_and_says_what_is_emulated() -> None:
    text = shown(0)
    assert "resnet18 on cifar10, scheduler hrfs_paper, cluster emulated: 1 gpu" in text
    assert "population 4, 40 iterations each, interval 10, val/acc (max), target 0.7" in text
    assert "box-gpu-0  gpu:A100, 1 CPU, 1 GPU, emulated, full speed, on box" in text
    assert "box-cpu-1  cpu, 2 CPUs, emulated, x4 slower, on box" in text


def test_many_workers_are_grouped() -> None:
    many = [WorkerInfo(f"w{i}", "cpu", "box", cpus=12) for i in range(20)]
    lines = describe_workers([*many, WorkerInfo("g", "gpu:A100", "box", 1, 1)], False)
    assert lines == ["20 x cpu, 12 CPUs, on box", " 1 x gpu:A100, 1 CPU, 1 GPU, on box"]


def test_plain_prints_a_table_every_so_often_and_at_the_end() -> None:
    text = shown(every_s=4.0)
    assert text.count("free ") == 3  # at about 4 s and 8 s of a run of 9.9 s, and at its end
    assert "elapsed 0:04" in text
    assert "left about 0:0" in text
    assert "slice lost (trial 2, worker box-cpu-1): killed" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_the_table_has_the_columns_of_the_papers_reporter() -> None:
    text = shown(12)
    heads = next(line for line in text.splitlines() if line.startswith("trial"))
    assert heads.split() == [
        *("trial", "status", "worker", "lr", "momentum", "batch", "val/acc"),
        *("iterations", "seconds"),
    ]
    assert "weight_decay" not in text
    running = next(line for line in text.splitlines() if "running" in line)
    assert running.split()[2].startswith("box-")
    assert "512" in running
    assert "nan" in text


def test_rows_are_ranked_and_say_what_each_trial_does() -> None:
    history = History()
    Play([history], make_plan(6), diverge_slice=1).run(most_slices=7)
    rows = trial_rows(history, now_s=3.0)
    scores = [row.score for row in rows]
    finite = [s for s in scores if s is not None and math.isfinite(s)]
    assert finite == sorted(finite, reverse=True)
    assert scores[: len(finite)] == finite
    assert {row.status for row in rows} == {"running", "waiting"}
    history.on_trial_end(3.0, rows[-1].trial, "error: out of memory")
    history.running.clear()
    assert [r.status for r in trial_rows(history, 3.0)].count("failed") == 1


def test_hundreds_of_trials_show_the_first_and_the_last() -> None:
    history = History()
    history.on_start(make_plan(300), WORKERS)
    page = screen()
    page.print(progress(history, 0.0, most_rows=12))
    lines = text_of(page).splitlines()
    assert any("288 more" in line for line in lines)
    assert len(lines) == 2 + 2 + 12 + 1
    assert lines[-1].split()[0] == "299"


def test_many_hyperparameters_still_fit() -> None:
    space = {
        f"quite_a_long_name_{i}": Hyperparameter(Choice((1 / 3,)), Choice((1.0,))) for i in range(9)
    }
    workers = [replace(w, name=f"a-host-with-a-long-name/{w.name}") for w in WORKERS]
    history, page = History(), screen()
    Play([history], make_plan(search_space=space), workers, exploit_slice=None).run(8)
    page.print(progress(history, 1.0, 10))
    lines = text_of(page).splitlines()
    assert max(len(line) for line in lines) <= 100
    assert lines[2].split()[0:3] == ["trial", "status", "worker"]
    assert lines[2].split()[-4:] == ["batch", "val/acc", "iterations", "seconds"]
    assert "ame/box-cpu-1" in lines[-1]


def test_live_refreshes_in_place_at_most_twice_a_second() -> None:
    history, page = History(), screen(terminal=True)
    now = [100.0]
    console = Console(history, "live", 300.0, page, real_clock=lambda: now[0])
    play = Play([history, console], fail_slice=None)
    play.start()

    def frames() -> int:
        return text_of(page).count("elapsed")

    console.on_tick(1.0)
    assert frames() == 1
    for _ in range(20):
        now[0] += 0.02
        console.on_tick(1.0)
    assert frames() == 1
    now[0] += 0.11
    console.on_tick(1.0)
    assert frames() == 2
    console.on_end(2.0)
    assert "\x1b[?25h" in text_of(page)  # the cursor is shown again
    assert text_of(page).count("\x1b[?25l") == 1
    console.close()


@pytest.mark.parametrize(
    ("mode", "terminal", "resolved"),
    [
        ("auto", True, "live"),
        ("auto", False, "plain"),
        ("plain", True, "plain"),
        ("quiet", True, "quiet"),
        ("live", True, "live"),
    ],
)
def test_modes(monkeypatch: pytest.MonkeyPatch, mode: str, terminal: bool, resolved: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert Console(History(), mode, 1.0, screen(terminal)).mode == resolved


def test_a_dumb_terminal_is_printed_to_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert Console(History(), "auto", 1.0, screen(terminal=True)).mode == "plain"


def test_quiet_prints_nothing_until_the_one_line_at_the_end(tmp_path: Path) -> None:
    history, page = History(), screen()
    Play([history, Console(history, "quiet", 0.5, page)]).run()
    assert text_of(page) == ""
    print_summary(summarise(history, {"test/acc": 0.5}), tmp_path, "quiet", page)
    assert text_of(page).startswith("trial 3, val/acc 0.8011, test/acc 0.5; files")
    assert text_of(page).count("\n") == 1


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"report\.console=loud: must be one of auto, live"):
        Console(History(), "loud")
    with pytest.raises(ConfigError, match=r"report\.every_s=0: must be above 0 seconds"):
        Console(History(), "plain", 0)


def test_failures_are_told_a_few_times_and_then_once() -> None:
    history, page = History(), screen()
    console = Console(history, "plain", 300.0, page)
    for number in range(20):
        console.on_failure(FailureRecord(1.0, number, None, None, "gone"))
    assert text_of(page).count("slice lost (no trial, worker unknown): gone") == 5
    assert text_of(page).count("more slices lost") == 1


def test_workers_that_come_and_go_are_told() -> None:
    history, page = History(), screen()
    console = Console(history, "plain", 300.0, page)
    play = Play([history, console])
    play.start()
    play.tell.on_workers(1.0, [WorkerInfo("late", "cpu", "box2", 4)], ["box-cpu-1"])
    assert "joined: late  cpu, 4 CPUs, emulated, full speed, on box2" in text_of(page)
    assert "left: box-cpu-1" in text_of(page)


def test_retired_workers_are_counted_until_they_work_again() -> None:
    history = History()
    play = Play([history])
    play.start()
    play.tell.on_worker_state(1.0, "box-cpu-1", "retired", "too slow for what remains")

    def line() -> str:
        page = screen()
        page.print(progress(history, 1.0, 5))
        return text_of(page).splitlines()[1]

    assert "retired 1" in line()
    play.tell.on_worker_state(2.0, "box-cpu-1", "free", "all workers were retired")
    assert "retired" not in line()


def test_a_closed_pipe_silences_the_console_and_not_the_run() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(32, "Broken pipe")

    history = History()
    page = Screen(file=Closed(), width=100)
    Play([history, Console(history, "plain", 1.0, page)]).run()
    assert len(history.records) > 10
    (warning,) = history.warnings
    assert "console cannot be written" in warning


def test_head_does_not_end_the_run() -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from reporting_play import Play
from hrfs.reporting import Console, History
history = History()
sys.stdout.reconfigure(line_buffering=True)
play = Play([history, Console(history, "plain", 0.01)])
sys.stdin.read()  # until the reader has gone
play.run()
sys.stderr.write(f"{len(history.records)} slices")
"""
    program = [sys.executable, "-c", code, str(Path(__file__).parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(program, cwd=ROOT, text=True, **pipes) as run:  # type: ignore[call-overload]
        run.stdout.close()
        run.stdin.close()
        told = run.stderr.read()
    assert run.returncode == 0
    assert told.endswith("24 slices")


def test_the_farewell_names_figures_and_files(tmp_path: Path) -> None:
    history, page = History(), screen()
    Play([history]).run()
    summary = summarise(history, {"test/acc": 0.5})
    summary["warnings"].append("slices.csv cannot be written")
    print_summary(summary, tmp_path / "run", "plain", page)
    text = " ".join(text_of(page).split())
    for part in (
        "run finished",
        "winner trial 3, val/acc 0.8011, test/acc 0.5",
        "best seen 0.8011 by trial 3 at iteration 40",
        "makespan 9.9 s, least possible C* 6.212 s, ratio 1.594, utilisation 75 %",
        "slices 24; migrations 0; exploits 1; failures 1 (1 worker lost); diverged 1",
        "1 gpu:A100: 50 % of the iterations; 2 cpu: 50 % of the iterations",
        "cluster emulated: 1 gpu",
        "warnings slices.csv cannot be written",
    ):
        assert part in text
    assert "tensorboard --logdir" in text
    assert "".join(str(tmp_path / "run" / "tensorboard").split()) in text.replace(" ", "")


def test_the_farewell_of_a_run_that_did_nothing(tmp_path: Path) -> None:
    history, page = History(), screen()
    history.on_start(make_plan(), WORKERS)
    outcome = Outcome("gave up", None, None, {}, "no worker came within 600 s")
    print_summary(summarise(history, {}, outcome), tmp_path, "plain", page)
    assert "gave up: no worker came within 600 s" in text_of(page)
    assert "none: no trial has a finite score" in text_of(page)


def test_a_run_that_never_began_ends_without_a_word(tmp_path: Path) -> None:
    history, page = History(), screen()
    files = make_observers(tmp_path / "out", history, "quiet", 60.0)
    for observer in [*files, Console(history, "plain", 60.0, page)]:
        observer.on_tick(0.0)
        observer.on_end(0.1)
    assert text_of(page) == ""
    assert not (tmp_path / "out").exists()


def test_the_expected_time_is_the_bound_of_what_remains() -> None:
    history = History()
    play = Play([history], fail_slice=None, exploit_slice=None)
    play.start()
    assert expected_remaining_s(history, 0.0) is None
    play = Play([history := History()], fail_slice=None, exploit_slice=None)
    play.run(most_slices=3)
    speeds = present_speeds(history)
    assert speeds["box-gpu-0"] == pytest.approx(10 / 0.6)
    assert speeds["box-cpu-1"] == speeds["box-cpu-0"]  # like the other one, if not yet measured
    now = expected_remaining_s(history, play.now_s)
    later = expected_remaining_s(history, play.now_s + 0.3)
    assert now is not None
    assert later is not None
    assert 0 < later < now
    done = History()
    Play([done]).run()
    assert expected_remaining_s(done, 10.0) == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "?"), (0, "0:00"), (42.4, "0:42"), (3723, "1:02:03")]
)
def test_clock(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text
