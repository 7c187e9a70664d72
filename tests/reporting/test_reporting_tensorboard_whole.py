"""The run ``experiment`` of TensorBoard: curves of the whole, their arrangement, texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reporting_play import Play, make_plan
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

from hrfs.experiment.observer import Observer, Observers, RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord, WorkerInfo
from hrfs.reporting import History, make_observers, write_final
from hrfs.reporting.event_file import EventFile
from hrfs.reporting.tensorboard import TensorBoard
from hrfs.reporting.tensorboard_image import write_timeline


def opened(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    return reader


def text(reader: EventAccumulator, tag: str) -> str:
    return str(reader.Tensors(tag)[-1].tensor_proto.string_val[0].decode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text("seed: 3\nmodel:\n  name: resnet18\n")
    return tmp_path / "tensorboard"


@pytest.fixture
def run(folder: Path) -> tuple[History, EventAccumulator]:
    history = History()
    Play([history, TensorBoard(folder, history)]).run()
    return history, opened(folder / "experiment")


def test_quartiles_are_of_the_last_scores(run: tuple[History, EventAccumulator]) -> None:
    history, reader = run
    last = [trial.last_score for trial in history.trials.values()]
    for name, share in (("lower_quartile", 0.25), ("median", 0.5), ("upper_quartile", 0.75)):
        shown = reader.Scalars(f"score/{name}")[-1].value
        assert shown == pytest.approx(float(np.quantile(last, share)), rel=1e-6)


def test_the_spread_is_of_the_trials_that_go_on(run: tuple[History, EventAccumulator]) -> None:
    _, reader = run
    points = [point.value for point in reader.Scalars("spread/iterations")]
    assert points[0] == 10  # the GPU's slice: others are at 0
    assert max(points) >= 10
    assert points[-1] == 0, "none goes on"


def test_utilisation_by_kind_and_hand_over(run: tuple[History, EventAccumulator]) -> None:
    history, reader = run
    begin_s = min(record.start_s for record in history.records)
    end_s = history.records[-1].end_s
    gpu_s = sum(r.duration_s for r in history.records if r.worker_kind == "gpu:A100")
    shown = reader.Scalars("utilisation/gpu:A100")[-1].value
    assert shown == pytest.approx(gpu_s / (end_s - begin_s), rel=1e-6)


class Moved(Observer):
    """Hands slices on, of whose time a tenth went into loading, saving and waiting."""

    def __init__(self, observers: Sequence[RunObserver]) -> None:
        self._tell = Observers(observers)

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        self._tell.on_start(plan, workers)

    def on_slice(self, record: SliceRecord) -> None:
        part_s = record.duration_s / 40
        self._tell.on_slice(replace(record, load_s=part_s, save_s=part_s, wait_s=2 * part_s))


def test_hand_over_is_what_was_neither_training_nor_evaluation(folder: Path) -> None:
    history = History()
    moved = Moved([history, TensorBoard(folder, history)])
    Play([moved], exploit_slice=None, fail_slice=None).run()
    points = opened(folder / "experiment").Scalars("handover/share")
    assert len(points) == len(history.records)
    assert [point.value for point in points] == pytest.approx([0.1] * len(points))


def test_every_chart_shows_a_curve_that_is_there(run: tuple[History, EventAccumulator]) -> None:
    _, reader = run
    content = reader.Tensors(metadata.CONFIG_SUMMARY_TAG)[0].tensor_proto.string_val[0]
    found = layout_pb2.Layout.FromString(content)
    assert [category.title for category in found.category] == ["population", "workers"]
    tags = reader.Tags()["scalars"]
    charts = [chart for category in found.category for chart in category.chart]
    assert len(charts) == 6
    for chart in charts:
        for pattern in chart.multiline.tag:
            assert any(re.fullmatch(pattern, tag) for tag in tags), (chart.title, pattern)


def test_the_text_tab_has_the_configuration(run: tuple[History, EventAccumulator]) -> None:
    _, reader = run
    assert text(reader, "config").splitlines()[-1] == "      name: resnet18"


def test_a_run_without_a_configuration_has_none(tmp_path: Path) -> None:
    history = History()
    Play([history, TensorBoard(tmp_path / "tensorboard", history)]).run(3)
    assert "config" not in opened(tmp_path / "tensorboard" / "experiment").Tags()["tensors"]


def test_the_winners_lineage(folder: Path) -> None:
    history = History()
    plan = make_plan(2, mode="min")  # the trial that takes over wins: a low score is best
    Play([history, TensorBoard(folder, history)], plan).run()
    told = text(opened(folder / "experiment"), "winner")
    winner = history.winner()
    assert winner is not None
    assert told.startswith(f"Trial {winner.trial}, val/acc ")
    for donor, iteration in winner.lineage:
        assert f"| {iteration} | trial {donor} |" in told
    if not winner.lineage:
        assert "its own from the first iteration on" in told
    first, values = winner.timeline[0]
    assert f"| {first} | lr {values['lr']:.4g}, " in told


def test_a_run_that_goes_on_goes_on_counting(folder: Path) -> None:
    history = History()
    moved = Moved([history, TensorBoard(folder, history)])
    play = Play([moved], exploit_slice=None)
    play.run(10)
    again = TensorBoard(folder, history)
    again.on_start(play.plan, play.workers)
    record = history.records[-1]
    long_s = replace(record, end_s=record.end_s + 1.0)
    again.on_slice(replace(long_s, load_s=0.0, save_s=0.0, wait_s=0.0))
    earlier_s = sum(r.duration_s for r in history.records)
    expected = 0.1 * earlier_s / (earlier_s + long_s.duration_s)
    reader = opened(folder / "experiment")
    assert reader.Scalars("handover/share")[-1].value == pytest.approx(expected)
    assert len(reader.Tensors(metadata.CONFIG_SUMMARY_TAG)) == 1


def test_the_timeline_is_an_image_at_the_end(tmp_path: Path) -> None:
    history = History()
    Play(make_observers(tmp_path, history, "quiet", 60.0)).run()
    write_final(tmp_path, history, {})
    (image,) = opened(tmp_path / "tensorboard" / "experiment").Images("timeline")
    assert image.step == history.iterations
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert image.width > 1000
    assert image.height > 200
    assert history.warnings == []


def test_what_is_no_png(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="timeline: not the bytes of a PNG"):
        EventFile(tmp_path).image("timeline", b"GIF89a", 0, 0.0)


def test_a_run_whose_slices_cannot_be_read_gets_no_timeline(tmp_path: Path) -> None:
    history = History()
    Play(make_observers(tmp_path, history, "quiet", 60.0)).run()
    (tmp_path / "slices.csv").write_text("what,is,this\n1,2,3\n4,5,6\n")
    write_timeline(tmp_path, tmp_path / "tensorboard", history)
    (warning,) = history.warnings
    assert warning.startswith("TensorBoard gets no timeline: ")
