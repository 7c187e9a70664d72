"""Several populations in one run: what every report says of each, and of all."""

from __future__ import annotations

import copy
import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reporting_play import Play, make_plan
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hrfs.experiment.launch import Outcome, PopulationOutcome
from hrfs.reporting import (
    History,
    check_consistency,
    make_observers,
    print_summary,
    read_slices,
    summarise,
    write_final,
)
from hrfs.reporting.screen import Screen
from hrfs.reporting.trial_table import progress

SEEDS, SIZE = (5, 0, 12), 3


def played(**changes: Any) -> History:
    history = History()
    Play([history], make_plan(9, seeds=SEEDS, **changes)).run()
    return history


def ended(history: History) -> Outcome:
    """As the run would tell it, each winner tested but that of the second population."""
    tests = [{"test/acc": 0.5}, {}, {"test/acc": 0.75}]
    won = [history.winner(number) for number in range(3)]
    populations = tuple(
        PopulationOutcome(seed, w.trial, w.last_score, test, "" if test else "its worker died")
        for seed, w, test in zip(SEEDS, won, tests, strict=True)
        if w is not None
    )
    best = history.winner()
    assert best is not None
    return Outcome(
        "finished", best.trial, best.last_score, tests[2], "seed 0: its worker died", populations
    )


def test_each_population_is_told_by_its_own_slices() -> None:
    history = played()
    summary = summarise(history, {"test/acc": 0.75}, ended(history))
    assert check_consistency(history.records, summary) == []
    assert (summary["seed"], summary["seeds"]) == (None, [5, 0, 12])
    told = summary["populations"]
    assert [p["seed"] for p in told] == [5, 0, 12]
    assert [p["trials"] for p in told] == [[0, 2], [3, 5], [6, 8]]
    assert [p["winner"]["trial"] for p in told] == [2, 5, 8]
    assert [p["winner"]["seed"] for p in told] == [5, 0, 12]
    assert [p["test"] for p in told] == [{"test/acc": 0.5}, None, {"test/acc": 0.75}]
    assert [p["test_reason"] for p in told] == [None, "its worker died", None]
    assert [p["iterations"] for p in told] == [120, 120, 120]
    assert sum(p["worker_s"] for p in told) == pytest.approx(summary["worker_s"])
    assert sum(p["exploits"] for p in told) == summary["exploits"] == 1
    assert sum(p["failures"] for p in told) == summary["failures"]["count"] == 1
    for number, population in enumerate(told):
        mine = [r for r in history.records if r.trial // SIZE == number]
        begin_s = min(r.start_s for r in mine)
        assert population["makespan_s"] == max(r.end_s for r in mine) - begin_s
        reached = [r.end_s for r in mine if r.score is not None and r.score >= 0.7]
        assert population["time_to_target_s"] == min(reached) - begin_s
        best = max(r.score for r in mine if r.score is not None and r.score == r.score)
        assert population["best"]["score"] == best
        assert population["makespan_s"] <= summary["makespan_s"]
    assert (summary["winner"]["trial"], summary["winner"]["seed"]) == (8, 12)
    assert summary["best"]["seed"] == 12


def test_one_population_is_told_as_ever() -> None:
    history = History()
    Play([history]).run()
    summary = summarise(history, {})
    assert "populations" not in summary
    assert (summary["seed"], summary["seeds"]) == (3, [3])
    assert "seed" not in summary["winner"]
    assert "seed" not in summary["best"]


def test_a_population_without_a_score_has_no_winner() -> None:
    history = History()
    Play([history], make_plan(6, seeds=(0, 1))).run(most_slices=1)
    summary = summarise(history, {})
    first, second = summary["populations"]
    assert first["winner"]["trial"] == 0
    assert first["test_reason"] == "the winner was not tested"
    assert (second["best"], second["winner"], second["makespan_s"]) == (None, None, None)
    assert second["test_reason"] == "no trial has a finite score"
    assert check_consistency(history.records, summary) == []
    json.dumps(summary, allow_nan=False)


def lie(history: History, summary: dict[str, Any], kind: str) -> None:
    population = summary["populations"][1]
    if kind == "range":
        population["trials"] = [3, 4]
    elif kind == "order":
        summary["seeds"] = [0, 5, 12]
    elif kind == "winner":
        population["winner"] |= {"trial": 3, "score": history.trials[3].last_score}
    elif kind == "best":
        population["best"]["score"] = 0.1
    elif kind == "exploits":
        population["exploits"] += 1
    elif kind == "crossed":
        index = next(i for i, r in enumerate(history.records) if r.trial == 4)
        history.records[index] = replace(history.records[index], parent=2)
    else:
        population[kind] *= 1.01


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("range", "populations do not share out the 9 trials"),
        ("order", "seeds are [0, 5, 12], populations"),
        ("winner", "seed 0: trials [4, 5] end better than the winner 3"),
        ("best", "seed 0: best score is"),
        ("exploits", "populations took 2 exploits, summary 1"),
        ("crossed", "seed 0: slices"),
        ("crossed", "began with another population's weights"),
        ("iterations", "seed 0: iterations: slices say 120"),
        ("worker_s", "seed 0: worker_s: slices say"),
        ("makespan_s", "seed 0: makespan_s: slices say"),
    ],
)
def test_the_check_finds_every_kind_of_lie(kind: str, message: str) -> None:
    history = played()
    summary = copy.deepcopy(summarise(history, {}))
    lie(history, summary, kind)
    assert message in "\n".join(check_consistency(history.records, summary))


def test_a_seed_that_is_not_the_one_of_its_list_is_found() -> None:
    history = History()
    Play([history]).run()
    summary = summarise(history, {}) | {"seed": 4}
    assert check_consistency(history.records, summary) == ["seed is not the only one of seeds"]


def test_the_files_of_a_run(tmp_path: Path) -> None:
    history = History()
    Play(make_observers(tmp_path, history, "quiet", 60.0), make_plan(9, seeds=SEEDS)).run()
    summary = write_final(tmp_path, history, {"test/acc": 0.75}, ended(history))
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert check_consistency(read_slices(tmp_path / "slices.csv"), summary) == []
    with (tmp_path / "trials.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["trial"], row["seed"]) for row in rows] == [
        (str(trial), str(SEEDS[trial // SIZE])) for trial in range(9)
    ]
    first = (tmp_path / "slices.csv").read_text().splitlines()[0]
    assert first.startswith("slice,trial,worker,start_s,end_s,from_iteration,to_iteration,")
    board = tmp_path / "tensorboard"
    runs = {str(p.parent.relative_to(board)) for p in board.rglob("events.out*")}
    assert runs == {
        "experiment",
        *(f"seed_{seed}/experiment" for seed in SEEDS),
        *(f"seed_{SEEDS[trial // SIZE]}/trial_{trial:02d}" for trial in range(9)),
    }


def test_curves_of_a_population(tmp_path: Path) -> None:
    history = History()
    Play(make_observers(tmp_path, history, "quiet", 60.0), make_plan(9, seeds=SEEDS)).run()
    write_final(tmp_path, history, {"test/acc": 0.75}, ended(history))
    for number, (seed, tested) in enumerate(zip(SEEDS, (0.5, None, 0.75), strict=True)):
        reader = EventAccumulator(str(tmp_path / "tensorboard" / f"seed_{seed}" / "experiment"))
        reader.Reload()
        mine = [r for r in history.records if r.trial // SIZE == number]
        best, median = reader.Scalars("score/best"), reader.Scalars("score/median")
        assert best[-1].step == median[-1].step == 120
        assert len(reader.Scalars("exploits")) == len(mine)
        winner = history.best(number)
        assert winner is not None
        assert best[-1].value == pytest.approx(winner.score)
        assert ("test/acc" in reader.Tags()["scalars"]) is (tested is not None)
        if tested is not None:
            (point,) = reader.Scalars("test/acc")
            assert (point.value, point.step) == (tested, 120)


def text_of(what: Any, width: int = 100) -> str:
    page = Screen(file=io.StringIO(), width=width, highlight=False)
    page.print(what) if not callable(what) else what(page)
    assert isinstance(page.file, io.StringIO)
    return page.file.getvalue()


def test_the_screen_says_which_trial_is_of_which_seed(tmp_path: Path) -> None:
    history = played()
    summary = summarise(history, {"test/acc": 0.75}, ended(history))
    text = text_of(lambda page: print_summary(summary, tmp_path, "plain", page))
    lines = [line.rstrip() for line in text.splitlines()]
    assert any(line.startswith("winner     trial 8 of seed 12, val/acc 0.8") for line in lines)
    assert any(line.startswith("winners    seed 5: trial 2, val/acc 0.8") for line in lines)
    assert any("seed 0: trial 5" in line and "not tested: its worker" in line for line in lines)
    assert any("seed 12: trial 8" in line and "test/acc 0.75" in line for line in lines)
    assert "run        finished: seed 0: its worker died" in lines
    table = text_of(progress(history, 1.0, 12)).splitlines()
    heads, *rows = [line.split() for line in table[2:] if line.strip("─ ")]
    assert heads[:3] == ["trial", "seed", "status"]
    assert {(int(row[0]), int(row[1])) for row in rows} == {
        (trial, SEEDS[trial // SIZE]) for trial in range(9)
    }
    assert max(map(len, table)) <= 100


def test_many_trials_are_left_out_with_a_column_more() -> None:
    history = played()
    table = text_of(progress(history, 1.0, 6)).splitlines()
    (left_out,) = (line for line in table if "more" in line)
    assert left_out.split() == ["...", "3", "more"]
    assert left_out.index("3 more") == next(
        line.index("status") for line in table if line.startswith("trial")
    )


def test_the_start_tells_the_populations(tmp_path: Path) -> None:
    from hrfs.reporting.words import goal

    plan = make_plan(9, seeds=SEEDS)
    assert goal(plan).startswith("3 populations of 3, 40 iterations each, ")
    assert goal(plan).endswith(", seeds 5, 0, 12")
    assert goal(make_plan(4)).startswith("population 4, 40 iterations each, ")
