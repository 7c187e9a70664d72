"""What the figures of a report show, and that both who draw them draw what they show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reporting_play import Play
from runs_play import write_run, write_start

from hrfs.experiment.records import SliceRecord
from hrfs.reporting import SliceCsv, read_slices
from hrfs.reporting.report import charts_time, charts_values, charts_work, contents, to_plotly
from hrfs.reporting.report.chart import Arrows, Axis, Bars, Chart, Line, Points
from hrfs.reporting.report.lineage import Lineages
from hrfs.reporting.report.palette import DARK, LIGHT, colours, text_on, trial_colour
from hrfs.reporting.report.reading import RunData, last_best, read_run
from hrfs.reporting.report.scale import scale_of

NASTY = "<b>&$x$</b>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def data(records: Sequence[SliceRecord], **changes: Any) -> RunData:
    """A run without a summary."""
    workers = {record.worker: record.worker_kind for record in records}
    winner = last_best(records, "max")
    run = RunData(Path("run"), tuple(records), None, {}, "acc", "max", workers, (), winner, ())
    return replace(run, **changes)


def bars(chart: Chart | None) -> list[Bars]:
    assert chart is not None
    return [layer for layer in chart.layers if isinstance(layer, Bars)]


def test_all_figures_of_a_whole_run(folder: Path) -> None:
    told = contents([folder])
    keys = [chart.key for chart in told.charts]
    assert keys == [
        "timeline",
        "scores",
        "schedule_lr",
        "schedule_momentum",
        "utilisation",
        "prediction",
        "makespan",
        "population",
    ]
    assert all(chart.alt for chart in told.charts)
    assert [sheet.title for sheet in told.sheets][-1] == "Everything in summary.json"
    assert dict(told.sheets[-1].rows)["plan.metric"] == "val/acc"
    assert dict(told.sheets[-1].rows)["workers[0].name"] == "box-gpu-0"


def test_the_timeline_has_every_slice_with_its_reason(folder: Path) -> None:
    run = read_run(folder)
    chart = charts_time.timeline(run, Lineages(run.records))
    layers = bars(chart)
    assert [layer.name for layer in layers] == ["trial 0", "trial 1", "trial 2", "trial 3"]
    assert sum(len(layer.row) for layer in layers) == len(run.records)
    ends = [s + n for layer in layers for s, n in zip(layer.start, layer.length, strict=True)]
    assert max(ends) == pytest.approx(run.summary["makespan_s"])  # type: ignore[index]
    hovers = [text for layer in layers for text in layer.hover]
    assert all("why: least advanced" in text for text in hovers)
    assert sum("began with the weights of trial" in text for text in hovers) == 1
    assert chart is not None
    (arrows,) = [layer for layer in chart.layers if isinstance(layer, Arrows)]
    assert len(arrows.x0) == 1
    assert arrows.x0[0] <= arrows.x1[0]


def test_the_band_holds_the_quartiles_of_the_latest_scores() -> None:
    def scored(number: int, trial: int, score: float) -> SliceRecord:
        return SliceRecord(number, trial, "w", number, number + 1.0, 0, 1, score=score)

    rows = [(0, 0.1), (1, 0.5), (2, 0.3), (0, 0.9), (1, 0.4)]
    records = [scored(number, *row) for number, row in enumerate(rows)]
    times, best, (low, middle, high) = charts_time.score_band(records, "max")
    assert times == [1, 2, 3, 4, 5]
    assert best == pytest.approx([0.1, 0.5, 0.5, 0.9, 0.9])
    assert middle == pytest.approx([0.1, 0.3, 0.3, 0.5, 0.4])
    assert (low[-1], high[-1]) == pytest.approx((0.35, 0.65))
    assert charts_time.score_band(records, "min")[1] == pytest.approx([0.1, 0.1, 0.1, 0.3, 0.3])


def test_shares_of_a_worker_add_up(folder: Path) -> None:
    run = read_run(folder)
    layers = bars(charts_work.utilisation(run))
    assert layers[-1].name == "idle"
    for worker in range(len(run.workers)):
        parts = [layer.length[worker] for layer in layers]
        assert math.fsum(parts) == pytest.approx(1.0)
        busy = run.summary["workers"][worker]["utilisation"]  # type: ignore[index]
        assert 1 - parts[-1] == pytest.approx(busy)


def test_makespan_tells_what_the_summary_tells(folder: Path) -> None:
    run = read_run(folder)
    assert run.summary is not None
    told = {layer.name.split(":")[0]: layer.length[0] for layer in bars(charts_work.makespan(run))}
    over = run.summary["over_gpus"]
    assert told == pytest.approx(
        {
            "this run": run.summary["makespan_s"],
            "C*": run.summary["bound_s"],
            "GPUs alone": over["gpu_only_bound_s"],
            "ceiling": over["gpu_only_bound_s"] / over["ceiling"],
        }
    )
    without = replace(run, summary=None)  # the same from the slices
    again = {bar.name.split(":")[0]: bar.length[0] for bar in bars(charts_work.makespan(without))}
    assert again == pytest.approx(told)


def test_the_winners_lineage_is_drawn_across_exploits() -> None:
    def slice_(number: int, trial: int, begin: int, rate: float, **more: Any) -> SliceRecord:
        return SliceRecord(
            number, trial, "w", number, number + 1.0, begin, begin + 10,
            hyperparameters={"lr": rate}, score=number / 10, **more,
        )  # fmt: skip

    records = [
        slice_(0, 0, 0, 0.1), slice_(1, 1, 0, 0.5), slice_(2, 1, 10, 0.12, parent=0),
        slice_(3, 1, 20, 0.12),
    ]  # fmt: skip
    run = data(records)
    assert run.winner == 1
    (chart,) = charts_values.schedules(run, Lineages(records))
    lines = {layer.name: layer for layer in chart.layers if isinstance(layer, Line)}
    lineage = lines["winner's lineage"]
    assert list(lineage.x) == [0, 10, None, 10, 30, None]
    assert list(lineage.y) == [0.1, 0.1, None, 0.12, 0.12, None]
    assert list(lines["exploit"].y) == [0.1, 0.12, None]
    assert "trials 0, 1" in chart.alt


def test_values_that_are_no_numbers_have_their_places() -> None:
    scale = scale_of(["relu", "gelu", None, True])
    assert [scale.place(value) for value in ("gelu", "relu", "tanh")] == [2.0, 3.0, None]
    assert scale_of([1e-4, 0.1]).log
    assert not scale_of([0.0, 0.1]).log
    assert scale_of([0.1, math.nan]).places is not None


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_slice(tmp_path: Path, count: int) -> None:
    folder = write_start(tmp_path / "run")
    play = Play([SliceCsv(folder / "slices.csv")])
    play.run(most_slices=count)
    told = contents([folder])
    keys = {chart.key for chart in told.charts}
    assert keys == (set() if count == 0 else {"timeline", "scores", "utilisation", "makespan"})
    if count == 0:
        assert "There is no slice in slices.csv yet." in told.notes
    for chart in told.charts:
        to_plotly.figure(chart)


def test_no_score_at_all(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    records = [replace(record, score=None) for record in read_slices(folder / "slices.csv")]
    run = data(records)
    assert run.winner is None
    lineages = Lineages(records)
    assert charts_time.scores(run, lineages) is None
    assert charts_time.timeline(run, lineages) is not None
    assert charts_values.population(run) is not None
    assert charts_values.schedules(run, lineages)


def test_a_slice_that_took_no_time() -> None:
    record = SliceRecord(0, 0, "w", 1.0, 1.0, 0, 0)
    run = data([record])
    assert charts_work.utilisation(run) is None
    assert charts_work.makespan(run) is None
    assert charts_work.prediction(run) is None
    assert charts_time.timeline(run, Lineages([record])) is not None


def test_texts_are_shown_as_they_are() -> None:
    assert to_plotly.text("a\n<b>&") == "a<br>&lt;b&gt;&amp;"
    chart = Chart(
        NASTY, NASTY, NASTY, Axis(NASTY, [(0.0, NASTY)]), Axis(NASTY),
        [Points(NASTY, [0.0], [1.0], "c0", [NASTY], text=[NASTY]),
         Line(NASTY, [0.0, 1.0], [1.0, 2.0], "ink", [NASTY, NASTY]),
         Arrows(NASTY, [0.0], [0.0], [1.0], [1.0], "faint", [NASTY]),
         Bars(NASTY, [0], [0.0], [1.0], "c1", [], [NASTY])],
    )  # fmt: skip
    assert "<b>" not in str(to_plotly.figure(chart))


def test_drawn_for_papers() -> None:
    from hrfs.reporting.report.to_matplotlib import draw

    chart = Chart(
        "key", NASTY, "alt", Axis("x", log=True), Axis("y", [(0.0, NASTY)]),
        [Bars(NASTY, [0], [1.0], [9.0], "c1", [], ["3"]),
         Arrows("exploits", [1.0], [0.0], [5.0], [0.0], "ink"),
         Line("l", [1.0, None, 5.0], [0.0, None, 0.1], "accent", dash="dash", steps=True),
         Points("p", [2.0], [0.2], "c2", text=["t"], low=[1.5], high=[3.0])],
    )  # fmt: skip
    found = draw(chart)
    assert found["png"].startswith(b"\x89PNG")
    assert b"&lt;b&gt;&amp;$x$&lt;/b&gt;" in found["svg"]
    assert found == draw(chart)


def test_colours_are_told_apart_and_read_on() -> None:
    light, dark = colours(LIGHT), colours(DARK)
    assert light.keys() == dark.keys()
    trials = [light[trial_colour(trial)] for trial in range(24)]
    assert len(set(trials)) == 24
    assert trial_colour(24) == trial_colour(0)
    assert {text_on(f"c{index}") for index in range(24)} == {"#000000", "#ffffff"}
