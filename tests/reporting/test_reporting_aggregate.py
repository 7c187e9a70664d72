"""A sweep's summary, its files and its table, against the summaries of its runs."""

from __future__ import annotations

import csv
import io
import json
import statistics
from pathlib import Path

import pytest
from runs_play import write_run, write_start

from hrfs.experiment.errors import ConfigError
from hrfs.reporting import figures, read_slices
from hrfs.reporting.aggregate import Aggregate, aggregate, target_of, time_to
from hrfs.reporting.aggregate_files import as_csv, as_json, write_aggregate
from hrfs.reporting.aggregate_table import AggregateTable
from hrfs.reporting.screen import Screen


def _sweep(folder: Path, seeds: int = 3, policy: str = "hrfs", first: int = 0) -> Path:
    for seed in range(seeds):
        write_run(
            folder / str(first + seed), seed=seed, changes={"scheduler.policy": policy},
            slower=1 + 0.3 * seed, better=0.02 * seed - 0.12 * (seed == 1),
        )  # fmt: skip
    return folder


def _printed(found: Aggregate, width: int) -> str:
    buffer = io.StringIO()
    Screen(width=width, file=buffer, highlight=False).print(AggregateTable(found))
    return buffer.getvalue()


def test_every_figure_is_that_of_the_runs_own_summaries(tmp_path: Path) -> None:
    told = as_json(aggregate([_sweep(tmp_path)]), tmp_path)
    (group,) = told["groups"]
    runs = [json.loads((tmp_path / str(n) / "summary.json").read_text()) for n in range(3)]
    assert (group["seeds"], group["group"]) == ([0, 1, 2], "")
    assert (group["score"], group["target_score"]) == ("val/acc", 0.7)
    for name, values in {
        "makespan_s": [run["makespan_s"] for run in runs],
        "winner": [run["winner"]["score"] for run in runs],
        "test/acc": [run["test"]["test/acc"] for run in runs],
        "worker_h": [run["worker_s"] / 3600 for run in runs],
        "time_to_target_s": [run["time_to_target_s"] for run in runs],
    }.items():
        figure = group["metrics"][name]
        assert figure["values"] == dict(zip("012", values, strict=True))
        assert figure["mean"] == pytest.approx(statistics.mean(values))
        assert figure["std"] == pytest.approx(statistics.stdev(values))
        assert (figure["n"], figure["of"], figure["method"]) == (3, 3, "t")
        assert figure["low"] < figure["mean"] < figure["high"]
    assert [run["folder"] for run in group["runs"]] == ["0", "1", "2"]
    assert [run["makespan_s"] for run in group["runs"]] == [run["makespan_s"] for run in runs]


def test_a_target_that_some_did_not_reach_has_no_interval(tmp_path: Path) -> None:
    (group,) = aggregate([_sweep(tmp_path)], [0.75]).groups
    figure = next(f for f in group.figures if f.name == time_to(0.75))
    assert figure.values[1] is None
    assert figure.estimate.n == 2
    assert figure.estimate.mean == pytest.approx((figure.values[0] + figure.values[2]) / 2)
    assert (figure.estimate.low, figure.estimate.high) == (None, None)
    assert figure.estimate.method == "none: reached by 2 of 3"


def test_what_one_run_lacks_has_no_interval(tmp_path: Path) -> None:
    write_run(tmp_path / "0", seed=0, loss=0.25)
    write_run(tmp_path / "1", seed=1, loss=float("nan"))
    write_run(tmp_path / "2", seed=2, loss=0.75)
    (group,) = aggregate([tmp_path]).groups
    loss = next(f for f in group.figures if f.name == "test/loss")
    assert loss.values == {0: 0.25, 1: None, 2: 0.75}
    assert (loss.estimate.mean, loss.estimate.low) == (0.5, None)
    assert loss.estimate.method == "none: measured in 2 of 3"


@pytest.mark.parametrize("score", [0.5, 0.62])
def test_times_to_other_targets_are_those_of_the_slices(tmp_path: Path, score: float) -> None:
    write_run(tmp_path / "0", seed=0)
    write_run(tmp_path / "1", seeds=[1, 2])
    found = aggregate([tmp_path], [score])
    alone, together = found.groups
    records = read_slices(tmp_path / "0" / "slices.csv")
    name = time_to(score)
    values = {f.name: f.values for f in alone.figures}[name]
    assert values == {0: figures.time_to_target_s(records, score, "max")}
    records = read_slices(tmp_path / "1" / "slices.csv")
    own = [[r for r in records if r.trial // 4 == population] for population in (0, 1)]
    assert {f.name: f.values for f in together.figures}[name] == {
        seed: figures.time_to_target_s(mine, score, "max")
        for seed, mine in zip((1, 2), own, strict=True)
    }


def test_names_of_times_can_be_read_back() -> None:
    assert [target_of(time_to(score)) for score in (0.5, -1e-9, 3.0)] == [0.5, -1e-9, 3.0]
    assert target_of("time_to_target_s") is None
    assert target_of("makespan_s") is None


def test_times_need_the_slices(tmp_path: Path) -> None:
    (write_run(tmp_path / "0") / "slices.csv").unlink()
    assert len(aggregate([tmp_path]).groups) == 1
    with pytest.raises(ConfigError, match=r"slices.csv: there is no such file; leave targets= out"):
        aggregate([tmp_path], [0.5])


def test_only_finished_runs_count(tmp_path: Path) -> None:
    _sweep(tmp_path, 2)
    write_run(tmp_path / "2", seed=2, status="gave up", reason="all trials failed")
    write_run(tmp_path / "3", seeds=[3, 4], status="interrupted")
    write_start(tmp_path / "4")
    found = aggregate([tmp_path])
    assert [group.seeds for group in found.groups] == [[0, 1]]
    assert {run.folder.name: run.reason for run in found.left_out} == {
        "2": "it gave up: all trials failed",
        "3": "it was interrupted",
        "4": "it has no summary.json, so it was killed or is still running",
    }


def test_no_run_has_finished(tmp_path: Path) -> None:
    write_run(tmp_path / "0", status="interrupted", reason="stopped before the last slice")
    with pytest.raises(ConfigError, match="/0: it was interrupted: stopped before the last"):
        aggregate([tmp_path])


def test_the_csv_has_a_row_for_each_group_and_metric(tmp_path: Path) -> None:
    _sweep(tmp_path, 2)
    write_run(tmp_path / "9", seed=5, changes={"scheduler.policy": "static"})
    found = aggregate([tmp_path])
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert len(rows) == sum(len(group.figures) for group in found.groups)
    for row in rows:
        group = next(g for g in found.groups if g.name == row["group"])
        figure = next(f for f in group.figures if f.name == row["metric"])
        for seed in (0, 1, 5):
            cell, value = row[f"seed/{seed}"], figure.values.get(seed)
            assert cell == "" if value is None else float(cell) == value
        assert float(row["mean"]) == figure.estimate.mean
        assert row["method"] == figure.estimate.method
    assert {row["group"] for row in rows} == {"scheduler=hrfs", "scheduler=static"}


def test_files_are_written_over_their_older_selves_alone(tmp_path: Path) -> None:
    found = aggregate([_sweep(tmp_path / "sweep", 2)])
    write_aggregate(tmp_path / "sweep", found)
    first = (tmp_path / "sweep" / "summary.json").read_bytes()
    again = aggregate([tmp_path / "sweep"])  # the sweep's own summary is no run's
    write_aggregate(tmp_path / "sweep", again)
    assert (tmp_path / "sweep" / "summary.json").read_bytes() == first
    assert json.loads(first)["kind"] == "aggregate"
    with pytest.raises(ConfigError, match=r"is a run's, whose summary.json would be lost; choose"):
        write_aggregate(tmp_path / "sweep" / "0", found)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "summary.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"has a summary.json of something else; choose another"):
        write_aggregate(tmp_path / "mine", found)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    found = aggregate([_sweep(tmp_path / "sweep", 2)])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"out=.*: cannot be written .*choose another folder"):
        write_aggregate(tmp_path / "file", found)


def test_the_table_shows_each_seed_where_there_is_room(tmp_path: Path) -> None:
    found = aggregate([_sweep(tmp_path)], [0.75])
    wide, narrow = _printed(found, 120), _printed(found, 80)
    for text, width in ((wide, 120), (narrow, 80)):
        assert max(map(len, text.splitlines())) <= width
        assert "all runs: seeds 0, 1, 2" in text
        assert "reached by 2 of 3" in text
        assert "95 % confidence interval of the mean by Student's t" in text
    assert "seed 2" in wide
    assert "least" not in wide
    assert "seed 2" not in narrow
    assert "least" in narrow
    (row,) = [line.split() for line in wide.splitlines() if line.startswith("best val/acc")]
    values = [run.metrics["best"] for run in found.groups[0].runs]
    assert [float(cell) for cell in row[-3:]] == pytest.approx(values, abs=1e-4)


def test_the_table_of_populations_that_trained_together(tmp_path: Path) -> None:
    write_run(tmp_path / "0", seeds=[0, 1])
    text = _printed(aggregate([tmp_path]), 100)
    summary = json.loads((tmp_path / "0" / "summary.json").read_text())
    assert "all runs: seeds 0, 1, trained together" in text
    assert f"as a whole: makespan {summary['makespan_s']:.4g} s" in text.replace("\n", " ")
    assert "utilisation" not in text


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    write_run(tmp_path / "0", seed=4)
    write_start(tmp_path / "1")
    text = _printed(aggregate([tmp_path]), 80)
    assert "all runs: seed 4" in text
    assert "interval" not in text
    assert "left out: " in text


def test_many_groups_have_a_line_each(tmp_path: Path) -> None:
    for size in range(1, 10):
        write_run(tmp_path / str(size), changes={"population.size": size})
    text = _printed(aggregate([tmp_path]), 80)
    assert text.count("population.size=") == 9
    assert "9 groups of runs" in text
    assert max(map(len, text.splitlines())) <= 80
